import { mkdir, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { createKey, openCore, SCOPES, type Scope } from "@tidebase/core";
import pg from "pg";
import type { Ended, Op } from "../history/evidence.ts";
import { readLines } from "../history/read-lines.ts";
import { openLink } from "../proxy/tcp-link.ts";
import { randomFor } from "../random.ts";
import { openReceivers } from "../workloads/receivers.ts";
import { type OwnActor, type Program, startActor } from "./actors.ts";
import type { Grounds } from "./grounds.ts";
import { slowness } from "./slowness.ts";
import type { Keys, World } from "./world.ts";

/** What a world is made of. */
export interface WorldOptions {
  readonly seed: number;
  /** What it shares with the trials before and after it. */
  readonly grounds: Grounds;
  /** Its own folder; made if it is missing. */
  readonly folder: string;
  /** 1.5 s by default, and up to four times that on a machine that is busy with something else. */
  readonly leaseMs?: number;
  readonly servers?: number;
  readonly workers?: number;
  /** Told of each process that has ended, those included that the end of the world ends. */
  ended?(end: Ended): void;
}

/** Where a harness's own client writes what it asks and hears. */
export const CLIENT_LOG = "client.jsonl";

const LEASE_MS = 1500;
/** A lapsed lease counts as a lost worker after so long: the product's own 10 s are longer than a trial. */
const SWEEP_GRACE_MS = "1000";
const SWEEP_EVERY_MS = "300";
const QUERY_PATIENCE_MS = 30_000;
const AGAIN_MS = 100;

/** Opens all that a trial consists of; everything serves when it resolves. What it had opened is closed when it throws. */
export async function openWorld(options: WorldOptions): Promise<World> {
  const closing: (() => Promise<void>)[] = [];
  const close = async (): Promise<void> => {
    for (const one of closing.splice(0).reverse()) await one();
  };
  try {
    return await build(options, closing, close);
  } catch (error) {
    await close();
    throw error;
  }
}

async function build(
  options: WorldOptions,
  closing: (() => Promise<void>)[],
  close: () => Promise<void>,
): Promise<World> {
  const { seed, grounds, folder } = options;
  const { cluster, oracle } = grounds;
  await mkdir(folder, { recursive: true });
  const database = grounds.databaseName();
  const databaseUrl = await cluster.create(database);
  closing.push(() => cluster.drop(database));
  const pool = openPool(databaseUrl);
  closing.push(() => pool.end());
  const keys = await makeKeys(databaseUrl);
  const receivers = await openReceivers();
  closing.push(() => receivers.close());
  const databasePort = Number(new URL(databaseUrl).port);
  const databaseLink = await openLink({
    targets: () => [{ host: "127.0.0.1", port: databasePort }],
    kind: "postgres",
    random: randomFor(seed, "database link"),
  });
  closing.push(() => databaseLink.close());
  const serving: OwnActor[] = [];
  const frontLink = await openLink({
    targets: () => serving.flatMap(addressOf),
    kind: "http",
    random: randomFor(seed, "front link"),
  });
  closing.push(() => frontLink.close());
  const url = `http://127.0.0.1:${frontLink.port}`;
  const oracleUrl = `${oracle.url}/${database}`;
  const linkedUrl = Object.assign(new URL(databaseUrl), { port: String(databaseLink.port) }).href;

  const ended: Ended[] = [];
  const note = (end: Ended): void => {
    ended.push(end);
    options.ended?.(end);
  };
  const leaseMs = options.leaseMs ?? Math.round(LEASE_MS * (await slowness()));
  const programs = programsOf(
    { ...options, leaseMs },
    { url, oracleUrl, linkedUrl, keys, ended: note },
  );
  const actors = await startAll(programs, serving, closing);
  return {
    ...{ folder, seed, databaseLink, frontLink, url, oracleUrl, keys, receivers },
    postgres: { url: databaseUrl, pid: cluster.pid, restart: cluster.restart },
    servers: actors.filter(({ role }) => role === "server"),
    workers: actors.filter(({ role }) => role === "worker"),
    query: (sql, values = []) => patiently(pool, sql, values),
    async collect() {
      const logs = (await readdir(folder)).filter((name) => name.endsWith(".jsonl"));
      const ops = await Promise.all(logs.map((name) => readLines<Op>(join(folder, name))));
      return {
        ops: ops.flat().sort((a, b) => a.at - b.at),
        effects: await oracle.effects(database),
        deliveries: [...receivers.delivered],
        processes: [...ended],
      };
    },
    async close({ keep } = { keep: false }) {
      await close();
      if (!keep) await rm(folder, { recursive: true, force: true });
    },
  };
}

/** Where everything is, for the programs of a world. */
interface Places {
  readonly url: string;
  readonly oracleUrl: string;
  /** Of the database, through its link. */
  readonly linkedUrl: string;
  readonly keys: Keys;
  ended(end: Ended): void;
}

/** Two servers and three workers, unless it is said otherwise. */
function programsOf(
  { seed, grounds, folder, leaseMs = LEASE_MS, servers = 2, workers = 3 }: WorldOptions,
  { url, oracleUrl, linkedUrl, keys, ended }: Places,
): Program[] {
  const server = (name: string): Program => ({
    ...{
      name,
      role: "server",
      file: grounds.programs.server,
      ready: /http:\/\/127\.0\.0\.1:(\d+)/,
    },
    ended,
    variables: () => ({
      TIDEBASE_DATABASE_URL: linkedUrl,
      TIDEBASE_WEBHOOK_ALLOW: "127.0.0.1",
      TIDEBASE_PUBLIC_URL: url,
      TIDEBASE_LEASE_MS: String(leaseMs),
      CHAOS_SWEEP_GRACE_MS: SWEEP_GRACE_MS,
      CHAOS_SWEEP_EVERY_MS: SWEEP_EVERY_MS,
    }),
  });
  const worker = (name: string, index: number): Program => ({
    ...{ name, role: "worker", file: grounds.programs.worker, ready: /ready/ },
    ended,
    variables: (incarnation) => ({
      CHAOS_URL: url,
      CHAOS_API_KEY: keys.worker,
      CHAOS_ORACLE: oracleUrl,
      CHAOS_NAME: incarnation,
      CHAOS_LOG: join(folder, `${incarnation}.jsonl`),
      CHAOS_LEASE_MS: String(leaseMs),
      CHAOS_SEED: String(seed * 10 + index),
    }),
  });
  return [...named("server", servers).map(server), ...named("worker", workers).map(worker)];
}

/** Each will be ended if it comes up, also when another does not. */
async function startAll(
  programs: readonly Program[],
  serving: OwnActor[],
  closing: (() => Promise<void>)[],
): Promise<readonly OwnActor[]> {
  const starts = programs.map(startActor);
  closing.push(async () => {
    const started = await Promise.allSettled(starts);
    await Promise.all(
      started.map((one) => (one.status === "fulfilled" ? one.value.kill() : undefined)),
    );
  });
  for (const start of starts)
    void start.then(
      (actor) => void (actor.role === "server" && serving.push(actor)),
      () => {}, // whoever awaits all of them is told
    );
  return await Promise.all(starts);
}

const named = (what: string, count: number): string[] =>
  Array.from({ length: count }, (_, index) => `${what}${index + 1}`);

/** Where a server listens now; each incarnation takes another port. */
function addressOf({ printed }: OwnActor): { host: string; port: number }[] {
  return printed === undefined ? [] : [{ host: "127.0.0.1", port: Number(printed[1]) }];
}

async function makeKeys(databaseUrl: string): Promise<Keys> {
  const core = openCore({ databaseUrl, sweeps: false });
  const operator = { name: "chaos", scopes: [...SCOPES], via: "cli" };
  const make = async (name: string, scopes: readonly Scope[]): Promise<string> =>
    (await core.execute(createKey, { name, scopes }, operator)).key;
  try {
    return {
      worker: await make("worker", ["read", "work", "enqueue", "operate"]),
      human: await make("human", ["read", "approve"]),
      admin: await make("admin", [...SCOPES]),
    };
  } finally {
    await core.close();
  }
}

function openPool(databaseUrl: string): pg.Pool {
  const pool = new pg.Pool({ connectionString: databaseUrl, max: 4, application_name: "chaos" });
  pool.on("error", () => {}); // Postgres was restarted: the next query connects anew
  return pool;
}

/** Sent again as long as Postgres is away: what is asked must bear being asked twice. */
async function patiently(
  pool: pg.Pool,
  sql: string,
  values: readonly unknown[],
): Promise<readonly Record<string, unknown>[]> {
  for (const deadline = Date.now() + QUERY_PATIENCE_MS; ; await delay(AGAIN_MS)) {
    try {
      return (await pool.query<Record<string, unknown>>(sql, [...values])).rows;
    } catch (error) {
      if (!isAway(error) || Date.now() > deadline) throw error;
    }
  }
}

/** Postgres is shut down, starting, or was cut off. */
function isAway(error: unknown): boolean {
  const code = String((error as { code?: unknown }).code ?? "");
  if (/^(?:08|57P0)/.test(code) || /^E[A-Z]+$/.test(code)) return true;
  return error instanceof Error && /Connection terminated|timeout exceeded/.test(error.message);
}
