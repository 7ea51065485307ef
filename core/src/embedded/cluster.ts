import { existsSync } from "node:fs";
import { readdir, realpath, rm } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { StoreError } from "../store-error.ts";
import { findPackage, type Package, prepareBinaries } from "./binaries.ts";
import { clusterUrl, connect, countClients, createDatabase } from "./connection.ts";
import { type Layout, layOut, readPassword } from "./home.ts";
import { withLock } from "./lock.ts";
import { countMembers, join as joinCluster, type Membership } from "./membership.ts";
import { findPostmaster, initialize, start, stop } from "./server.ts";
import { serverSettings } from "./settings.ts";

export interface ClusterOptions {
  /** Made if it is missing; `findHome` tells the usual one. */
  readonly home: string;
  /** The folder of another native package than the installed one. */
  readonly binaries?: string;
}

/** A running embedded Postgres that this process has joined. */
export interface Cluster {
  /** Of the database `tidebase`; holds the superuser's password. */
  readonly url: string;
  readonly port: number;
  /** The folder in use: not the one asked for when root's Postgres cannot reach that. */
  readonly home: string;
  /** Whether this call started it; false: it was running and is shared. */
  readonly started: boolean;
  /**
   * Stops the server if no other Tidebase process has joined it and no client is connected. End this
   * process's own connections before. Never throws because the server is gone already.
   */
  leave(): Promise<void>;
}

export interface ClusterStatus {
  readonly home: string;
  /** Postgres's major version. */
  readonly major: number;
  readonly state: "absent" | "stopped" | "running";
  /** The two below only while it runs. */
  readonly port?: number;
  readonly url?: string;
  /** Live Tidebase processes that have joined it. */
  readonly processes: number;
  /** Connected clients, whoever they are. */
  readonly clients: number;
}

const LOCK_MS = 90_000;
const START_MS = 60_000;
const POLL_MS = 50;
/** The server still sees a connection for a moment after its client ended it. */
const CLOSING_MS = 1_000;

/**
 * The embedded Postgres of this home, joined: adopted when it runs, else made and started. Any number
 * of processes may call it at once. `settings` are Postgres's, for tests. Throws StoreError.
 */
export async function ensureCluster(
  options: ClusterOptions & { readonly settings?: Readonly<Record<string, string>> },
): Promise<Cluster> {
  const found = await findPackage(options.binaries);
  const layout = await layOut(options.home, found.major);
  return await locked(layout, async () => {
    const password = await readPassword(layout);
    const running = await adopt(layout, password);
    const port = running ?? (await launch(found, layout, password, options.settings ?? {}));
    const membership = await joinCluster(layout);
    return {
      url: clusterUrl(port, password),
      port,
      home: layout.home,
      started: running === undefined,
      leave: () => locked(layout, () => leave(layout, password, membership)),
    };
  });
}

/** What is there, without starting or changing anything. */
export async function clusterStatus(options: ClusterOptions): Promise<ClusterStatus> {
  const { major } = await findPackage(options.binaries);
  const layout = await layOut(options.home, major);
  const about = { home: layout.home, major, processes: await countMembers(layout) };
  const running = await findPostmaster(layout);
  if (running === undefined)
    return { ...about, state: existsSync(layout.data) ? "stopped" : "absent", clients: 0 };
  const password = await readPassword(layout);
  const { ours, others } = await clients(running.port, password);
  const url = clusterUrl(running.port, password);
  return { ...about, state: "running", port: running.port, url, clients: ours + others };
}

/** Stops the server whoever uses it. Returns whether one was running. */
export async function stopCluster(options: ClusterOptions): Promise<boolean> {
  const { major } = await findPackage(options.binaries);
  const layout = await layOut(options.home, major);
  return await locked(layout, () => stop(layout));
}

/**
 * Stops the server and deletes its data for good. Throws `embedded_in_use` while another process or
 * client uses it, unless `force`.
 */
export async function resetCluster(
  options: ClusterOptions & { readonly force?: boolean },
): Promise<void> {
  const { major } = await findPackage(options.binaries);
  const layout = await layOut(options.home, major);
  await locked(layout, async () => {
    if (options.force !== true) await refuseInUse(layout);
    await stop(layout);
    await rm(layout.data, { recursive: true, force: true });
  });
}

function locked<T>(layout: Layout, work: () => Promise<T>): Promise<T> {
  return withLock(layout.lock, LOCK_MS, work);
}

/** The port of the running server, once it answers and shows this data directory; undefined: none runs. */
async function adopt(layout: Layout, password: string): Promise<number | undefined> {
  for (const deadline = Date.now() + START_MS; Date.now() < deadline; await delay(POLL_MS)) {
    const running = await findPostmaster(layout);
    if (running === undefined) return undefined;
    if (running.ready && (await answers(running.port, password, layout))) return running.port;
  }
  throw new StoreError("embedded_failed", {
    message: `A Postgres on ${layout.data} runs, but has not answered for ${START_MS / 1000} s.`,
    fix: `Read ${layout.log}; \`npx tidebase db stop\` ends it.`,
  });
}

async function answers(port: number, password: string, layout: Layout): Promise<boolean> {
  try {
    const client = await connect(port, password);
    try {
      const { rows } = await client.query<{ data_directory: string }>("show data_directory");
      return (await realpath(rows[0]?.data_directory ?? "")) === layout.data;
    } finally {
      await client.end();
    }
  } catch (error) {
    const code = (error as { code?: string }).code;
    if (code === "28P01") throw wrongPassword(layout, error);
    if (code === "3D000") await createDatabase(port, password); // killed before it was made
    return code === "53300"; // too many clients: it runs
  }
}

async function launch(
  found: Package,
  layout: Layout,
  password: string,
  settings: Readonly<Record<string, string>>,
): Promise<number> {
  const binaries = await prepareBinaries(found, layout);
  if (!existsSync(layout.data)) {
    await refuseOtherVersion(layout, found.major);
    await initialize(binaries, layout, settings["fsync"] !== "off");
  }
  const all = serverSettings(found.major, settings);
  for (const deadline = Date.now() + START_MS; ; await delay(POLL_MS)) {
    const outcome = await start(binaries, layout, all);
    const port = await adopt(layout, password);
    if (port !== undefined) return port;
    const { refusal } = outcome;
    if (refusal !== undefined && (!outcome.passing || Date.now() > deadline)) throw refusal;
  }
}

async function leave(layout: Layout, password: string, membership: Membership): Promise<void> {
  await membership.end();
  const running = await findPostmaster(layout);
  if (running === undefined || (await countMembers(layout)) > 0) return;
  for (const deadline = Date.now() + CLOSING_MS; ; await delay(POLL_MS / 2)) {
    const { ours, others } = await clients(running.port, password);
    if (ours + others === 0) break;
    if (others > 0 || Date.now() > deadline) return;
  }
  await stop(layout);
}

async function refuseInUse(layout: Layout): Promise<void> {
  const running = await findPostmaster(layout);
  const processes = await countMembers(layout);
  const { ours, others } =
    running === undefined
      ? { ours: 0, others: 0 }
      : await clients(running.port, await readPassword(layout));
  if (processes + ours + others === 0) return;
  throw new StoreError("embedded_in_use", {
    message: `The embedded Postgres is in use by ${processes} Tidebase processes and ${ours + others} connections.`,
    fix: "End them first, or force it.",
  });
}

async function clients(port: number, password: string): Promise<{ ours: number; others: number }> {
  const client = await connect(port, password, "postgres");
  try {
    return await countClients(client);
  } finally {
    await client.end();
  }
}

/** Other majors cannot read the data, and no pg_upgrade is shipped: nothing is touched. */
async function refuseOtherVersion(layout: Layout, major: number): Promise<void> {
  for (const name of await readdir(layout.home)) {
    const other = Number(/^pg(\d+)$/.exec(name)?.[1] ?? major);
    if (other === major) continue;
    const folder = join(layout.home, name);
    throw new StoreError("embedded_other_version", {
      message: `${folder} was made by Postgres ${other}; this Tidebase brings Postgres ${major}, which cannot read it.`,
      fix:
        other > major
          ? "Use the newer Tidebase that made it."
          : `With the Tidebase that made it run \`tidebase db export\`, move ${folder} away, then run \`tidebase db import\` with this one.`,
    });
  }
}

function wrongPassword({ password, data }: Layout, cause: unknown): StoreError {
  return new StoreError("embedded_failed", {
    message: `The server on ${data} does not accept the password in ${password}.`,
    fix: "Restore that file, or run `npx tidebase db reset --force` to begin anew.",
    cause,
  });
}
