import pg from "pg";

/** The superuser and the database of every embedded cluster. */
const NAME = "tidebase";

/** No certificate is needed on the loopback, whatever PGSSLMODE says. */
export function clusterUrl(port: number, password: string): string {
  return `postgres://${NAME}:${password}@127.0.0.1:${port}/${NAME}?sslmode=disable`;
}

/** A connection to the server at this port; whoever asks ends it. */
export async function connect(
  port: number,
  password: string,
  database: string = NAME,
): Promise<pg.Client> {
  const client = new pg.Client({
    host: "127.0.0.1",
    port,
    user: NAME,
    password,
    database,
    ssl: false,
    application_name: "tidebase-embedded",
    connectionTimeoutMillis: 5_000,
  });
  client.on("error", () => {}); // the server may be stopped meanwhile: the next query tells
  await client.connect();
  return client;
}

/** Makes the database unless it is there. */
export async function createDatabase(port: number, password: string): Promise<void> {
  const client = await connect(port, password, "postgres");
  try {
    const { rowCount } = await client.query("select from pg_database where datname = $1", [NAME]);
    if (rowCount === 0) await client.query(`create database ${NAME}`);
  } finally {
    await client.end();
  }
}

/** The other clients of the whole server: those of Tidebase programs, and those of anybody else. */
export async function countClients(client: pg.Client): Promise<{ ours: number; others: number }> {
  const { rows } = await client.query<{ ours: number; others: number }>(
    `select count(*) filter (where application_name like 'tidebase%')::int as ours,
        count(*) filter (where application_name not like 'tidebase%')::int as others
      from pg_stat_activity
      where backend_type = 'client backend' and pid <> pg_backend_pid()`,
  );
  return rows[0] ?? { ours: 0, others: 0 };
}
