import pg from "pg";
import { inject } from "vitest";
import { fired } from "./fired.ts";

/** Notes it where PgBouncer, by its own statistics, has handed statements on to this database. */
export async function seenByPgBouncer(database: string): Promise<void> {
  const address = Object.assign(new URL(inject("adminUrl")), { pathname: "pgbouncer" });
  const console = new pg.Client(address.href);
  try {
    await console.connect();
    const { rows } = await console.query("show stats");
    const seen = rows.find((row) => row["database"] === database);
    if (Number(seen?.["total_query_count"] ?? 0) > 0) fired("statements went through PgBouncer");
  } catch {
    // a Postgres has no such database: then nothing was seen
  } finally {
    await console.end().catch(() => {});
  }
}
