import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { ensureCluster, migrate, stopCluster } from "@tidebase/core";
import pg from "pg";
import { followed } from "./leftovers.ts";

/** Postgres's own defaults for durability; long checkpoints would only slow the recoveries. */
const SETTINGS = {
  fsync: "on",
  synchronous_commit: "on",
  max_connections: "200",
  shared_buffers: "128MB",
  max_wal_size: "1GB",
};
const TEMPLATE = "chaos_template";
const POLL_MS = 10;
const GONE_MS = 20_000;

/** A Postgres of the harness's own, shared by the trials of one process, one after the other. */
export interface TrialCluster {
  /** The pid of its postmaster. Throws when none runs. */
  pid(): Promise<number>;
  /** Ends it as `pg_ctl -m immediate` does, unless it has ended, and starts it again on the same port after this. */
  restart(meanwhile: () => Promise<unknown>): Promise<void>;
  /** A new migrated database; its address. */
  create(name: string): Promise<string>;
  drop(name: string): Promise<void>;
  /** Stops it; the folder is the caller's. */
  close(): Promise<void>;
}

/** Makes and starts a Postgres in this empty folder, with the product's embedded binaries. */
export async function openCluster(folder: string): Promise<TrialCluster> {
  const cluster = await ensureCluster({ home: folder, settings: SETTINGS });
  const { home, url } = cluster;
  const pid = () => postmaster(home);
  const forget = followed(await pid(), "SIGQUIT");
  let current = forget;
  const at = (database: string): string =>
    Object.assign(new URL(url), { pathname: `/${database}` }).href;

  /** The product's own revival, which takes the port of last time while that is free. */
  async function restart(meanwhile: () => Promise<unknown>): Promise<void> {
    const running = await pid().catch(() => undefined);
    if (running !== undefined) {
      process.kill(running, "SIGQUIT");
      await untilGone(running);
    }
    current();
    await meanwhile();
    const revived = await cluster.revive();
    if (revived.url !== url) throw new Error("Another program took the port of Postgres.");
    current = followed(await pid(), "SIGQUIT");
  }

  async function administer(...texts: string[]): Promise<void> {
    const client = new pg.Client(at("postgres"));
    client.on("error", () => {}); // the statement under way tells
    await client.connect();
    try {
      for (const text of texts) await client.query(text);
    } finally {
      await client.end();
    }
  }

  await administer(`create database ${TEMPLATE}`);
  await migrate({ databaseUrl: at(TEMPLATE) });
  return {
    pid,
    restart,
    async create(name) {
      await administer(`create database ${name} template ${TEMPLATE}`);
      return at(name);
    },
    drop: (name) => administer(`drop database if exists ${name} with (force)`),
    async close() {
      await stopCluster({ home: folder });
      current();
    },
  };
}

/** What Postgres wrote into `postmaster.pid`: asked of nobody, for a stopped Postgres answers nobody. */
async function postmaster(home: string): Promise<number> {
  const [folder = ""] = (await readdir(home)).filter((name) => /^pg\d+$/.test(name));
  const text = await readFile(join(home, folder, "postmaster.pid"), "utf8").catch(() => "");
  const pid = Number(text.split("\n", 1)[0]);
  if (!(pid > 0) || !isThere(pid)) throw new Error("Postgres does not run.");
  return pid;
}

async function untilGone(pid: number): Promise<void> {
  for (const deadline = Date.now() + GONE_MS; isThere(pid); await delay(POLL_MS))
    if (Date.now() > deadline) throw new Error(`Postgres (${pid}) did not end.`);
}

function isThere(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
