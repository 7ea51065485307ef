import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { freePort } from "../../test/support/free-port.ts";
import { end } from "../../test/support/process.ts";

/** A PgBouncer in transaction mode before a Postgres. */
export interface PgBouncer {
  /** The same database, through it. */
  readonly url: string;
  close(): Promise<void>;
}

const SBIN = ["/usr/sbin", "/usr/local/sbin"]; // seldom on the PATH of who is not root
const READY_MS = 10_000;

/** Where the program is. Throws, naming the package, when it is nowhere. */
function findPgBouncer(path: string): string {
  const places = [...path.split(delimiter), ...SBIN].map((place) => join(place, "pgbouncer"));
  const found = places.find((place) => existsSync(place));
  if (found === undefined) throw new Error("No pgbouncer: apt-get install pgbouncer");
  return found;
}

/** Starts it on a free port; every database of the server behind it can be reached by its name. */
export async function startPgBouncer(databaseUrl: string, path: string): Promise<PgBouncer> {
  const program = findPgBouncer(path);
  const folder = await mkdtemp(join(tmpdir(), "tidebase-pgbouncer-"));
  await chmod(folder, 0o755);
  const port = await freePort();
  const file = join(folder, "pgbouncer.ini");
  await writeFile(file, settings(new URL(databaseUrl), port));
  const isRoot = process.getuid?.() === 0;
  const child = spawn(program, [...(isRoot ? ["-u", "nobody"] : []), file], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  let complained = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    complained = (complained + text).slice(-4000);
  });
  const close = async () => {
    await end(child, "SIGTERM");
    await rm(folder, { recursive: true, force: true });
  };
  for (const deadline = Date.now() + READY_MS; !(await listens(port)); await delay(20))
    if (Date.now() > deadline || child.exitCode !== null) {
      await close();
      throw new Error(`pgbouncer did not start: ${complained}`);
    }
  return { url: Object.assign(new URL(databaseUrl), { port: String(port) }).href, close };
}

/** Whoever comes is let in: it listens on the loopback for as long as the tests last. */
function settings({ hostname, port: server, username, password }: URL, port: number): string {
  const login = `user=${decodeURIComponent(username)} password=${decodeURIComponent(password)}`;
  return `[databases]
* = host=${hostname} port=${server} ${login}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 30
max_client_conn = 1000
server_idle_timeout = 5
ignore_startup_parameters = extra_float_digits
`;
}

function listens(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}
