import { type ChildProcess, spawn } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import {
  type Actor,
  ensureCluster,
  migrate,
  openCore,
  operations,
  resetCluster,
  SCOPES,
  toJson,
} from "@tidebase/core";
import pg from "pg";
import { end } from "../../test/support/process.ts";
import type { Execute } from "./good-input.ts";
import { type WatchedLog, watchLog } from "./log-watch.ts";

/** The folder of the repository. */
export const ROOT = fileURLToPath(new URL("../../", import.meta.url));
/** How a program runs from its source. */
export const SOURCE: readonly string[] = ["--import", "tsx", "--conditions=tidebase-source"];

/** A human at a terminal: makes what a stage needs, and is nobody's key. */
const MAKER: Actor = { name: "maker", scopes: SCOPES, via: "tty" };

/** A Postgres and a store of a stage's own, migrated, with what makes runs in it. */
export interface OwnStore {
  readonly databaseUrl: string;
  readonly execute: Execute;
  query(sql: string, values?: readonly unknown[]): Promise<Record<string, unknown>[]>;
  close(): Promise<void>;
}

/** The server's program, with the API and MCP on one port. */
export interface Serving {
  readonly url: string;
  readonly pid: number;
  readonly child: ChildProcess;
  readonly log: WatchedLog;
  stop(): Promise<void>;
}

/** Starts a Postgres in the folder; nothing here needs to survive a power cut. Webhooks may go to `allow`. */
export async function openOwnStore(folder: string, allow: readonly string[]): Promise<OwnStore> {
  const home = join(folder, "postgres");
  const settings = { fsync: "off", full_page_writes: "off", synchronous_commit: "off" };
  const cluster = await ensureCluster({ home, settings });
  await migrate({ databaseUrl: cluster.url });
  const core = openCore({
    databaseUrl: cluster.url,
    sweeps: false,
    webhooks: { sends: false, allow },
  });
  const pool = new pg.Pool({ connectionString: cluster.url, max: 2 });
  pool.on("error", () => {}); // the next query tells
  const execute: Execute = async (name, input) => {
    const operation = operations.find((one) => one.name === name);
    if (operation === undefined) throw new Error(`No operation ${name}.`);
    return JSON.parse(toJson(await core.execute(operation, input, MAKER)));
  };
  return {
    databaseUrl: cluster.url,
    execute,
    query: async (sql, values = []) => (await pool.query(sql, [...values])).rows,
    async close() {
      await core.close();
      await pool.end();
      await cluster.leave();
      await resetCluster({ home, force: true });
    },
  };
}

/** Starts the server's program on the store, its log in the folder; it listens then. It gets these variables alone. */
export async function startServing(
  folder: string,
  databaseUrl: string,
  variables: Readonly<Record<string, string>>,
): Promise<Serving> {
  const log = watchLog(join(folder, "server.log"));
  const args = ["mcp-server/src/main.ts", "http", "--port", "0"];
  const toolsets = ["--toolsets", "runs,gates,ops,start"];
  const child = spawn(process.execPath, [...SOURCE, ...args, ...toolsets], {
    cwd: ROOT,
    env: {
      TIDEBASE_DATABASE_URL: databaseUrl,
      TIDEBASE_LOG_LEVEL: "debug",
      TIDEBASE_LEASE_MS: "3600000",
      TIDEBASE_RETENTION_DAYS: "0",
      ...variables,
    },
    stdio: ["ignore", log.fd, log.fd],
  });
  const [url] = await log.until(child, /http:\/\/127\.0\.0\.1:\d+/);
  const stop = async () => {
    await end(child, "SIGTERM");
    log.close();
  };
  return { url, pid: child.pid ?? 0, child, log, stop };
}

/** An API key with these scopes. */
export async function newKey(
  execute: Execute,
  name: string,
  scopes: readonly string[],
  more: object = {},
): Promise<{ readonly keyId: string; readonly key: string }> {
  const { keyId, key } = await execute("keys.create", { name, scopes, ...more });
  return { keyId: String(keyId), key: String(key) };
}
