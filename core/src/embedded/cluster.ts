import { existsSync } from "node:fs";
import { rm } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";
import { StoreError } from "../store/error.ts";
import { adopt } from "./adopt.ts";
import { findPackage, type Package, prepareBinaries } from "./binaries.ts";
import { clusterUrl, connect, countClients } from "./connection.ts";
import { type Layout, layOut, readPassword } from "./home.ts";
import { initialize, refuseOtherVersion } from "./initialize.ts";
import { withLock } from "./lock.ts";
import { countMembers, join, type Membership } from "./membership.ts";
import type { Owner } from "./owner.ts";
import { failed } from "./program.ts";
import { findPostmaster, type Postmaster, start, stop } from "./server.ts";
import { serverSettings } from "./settings.ts";

/** Which embedded Postgres is meant. */
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
  /** What the human should know once, when the cluster was just made. */
  readonly note?: string;
  /**
   * The server again, under the same membership: adopted when it runs, else started, perhaps on
   * another port. Throws StoreError, also once this process has left.
   */
  revive(): Promise<{ readonly url: string; readonly started: boolean }>;
  /**
   * Stops the server if no other Tidebase process has joined it and no client is connected. End this
   * process's own connections before. Never throws because the server is gone already.
   */
  leave(): Promise<void>;
}

/** What is known of an embedded Postgres without starting it. */
export interface ClusterStatus {
  readonly home: string;
  /** Postgres's major version. */
  readonly major: number;
  readonly state: "absent" | "stopped" | "running";
  /** The three below only while it runs. */
  readonly pid?: number;
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
    const fresh = !existsSync(layout.data);
    const bring = () => adoptOrLaunch(found, layout, password, options.settings ?? {});
    const brought = await bring();
    const membership = await join(layout);
    let left = false;
    return {
      ...brought,
      home: layout.home,
      ...(fresh && layout.owner !== undefined ? { note: rootNote(layout.home, layout.owner) } : {}),
      revive: () =>
        locked(layout, () => {
          if (left) throw hasLeft(layout);
          return bring();
        }),
      leave: () =>
        locked(layout, () => {
          left = true;
          return leave(layout, found, membership);
        }),
    };
  });
}

async function adoptOrLaunch(
  found: Package,
  layout: Layout,
  password: string,
  settings: Readonly<Record<string, string>>,
): Promise<Pick<Cluster, "url" | "port" | "started">> {
  const running = await adopt(layout, password);
  const port = running ?? (await launch(found, layout, password, settings));
  return { url: clusterUrl(port, password), port, started: running === undefined };
}

/** A server started then would have nobody to stop it. */
function hasLeft({ home }: Layout): StoreError {
  return new StoreError("embedded_failed", {
    message: `This process has left the embedded Postgres in ${home}.`,
    fix: "Open the store again.",
  });
}

/** What is there; starts nothing. */
export async function clusterStatus(options: ClusterOptions): Promise<ClusterStatus> {
  const { major } = await findPackage(options.binaries);
  const layout = await layOut(options.home, major);
  const about = { home: layout.home, major, processes: await countMembers(layout) };
  const running = await findPostmaster(layout);
  if (running === undefined)
    return { ...about, state: existsSync(layout.data) ? "stopped" : "absent", clients: 0 };
  const password = await readPassword(layout);
  const { ours, others } = await clients(running, password);
  const url = clusterUrl(running.port, password);
  return {
    ...about,
    state: "running",
    pid: running.pid,
    port: running.port,
    url,
    clients: ours + others,
  };
}

/** Stops the server whoever uses it. Returns whether one was running. */
export async function stopCluster(options: ClusterOptions): Promise<boolean> {
  const found = await findPackage(options.binaries);
  const layout = await layOut(options.home, found.major);
  return await locked(layout, () => stop(layout, found));
}

/**
 * Stops the server and deletes its data for good. Throws `embedded_in_use` while another process or
 * client uses it, unless `force`.
 */
export async function resetCluster(
  options: ClusterOptions & { readonly force?: boolean },
): Promise<void> {
  const found = await findPackage(options.binaries);
  const layout = await layOut(options.home, found.major);
  await locked(layout, async () => {
    if (options.force !== true) await refuseInUse(layout);
    await stop(layout, found);
    await rm(layout.data, { recursive: true, force: true });
  });
}

async function locked<T>(layout: Layout, work: () => Promise<T>): Promise<T> {
  try {
    return await withLock(layout.lock, LOCK_MS, work);
  } catch (error) {
    if (error instanceof StoreError) throw error;
    const what = `The embedded Postgres in ${layout.home} cannot be used`;
    throw failed(what, String(error), layout, error);
  }
}

function rootNote(home: string, { uid }: Owner): string {
  return `Postgres refuses to run as root: the embedded one runs as user ${uid}, with its data in ${home}.`;
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

async function leave(layout: Layout, found: Package, membership: Membership): Promise<void> {
  await membership.end();
  const running = await findPostmaster(layout);
  if (running === undefined || (await countMembers(layout)) > 0) return;
  const password = await readPassword(layout);
  for (const deadline = Date.now() + CLOSING_MS; ; await delay(POLL_MS / 2)) {
    const { ours, others } = await clients(running, password);
    if (ours + others === 0) break;
    if (others > 0 || Date.now() > deadline) return;
  }
  await stop(layout, found);
}

async function refuseInUse(layout: Layout): Promise<void> {
  const running = await findPostmaster(layout);
  const processes = await countMembers(layout);
  const { ours, others } = await clients(running, await readPassword(layout));
  if (processes + ours + others === 0) return;
  throw new StoreError("embedded_in_use", {
    message: `The embedded Postgres is in use by ${processes} Tidebase processes and ${ours + others} connections.`,
    fix: "End them first, or force it.",
  });
}

/** None where the server does not run, or just ends. */
async function clients(
  running: Postmaster | undefined,
  password: string,
): Promise<{ ours: number; others: number }> {
  if (running?.ready !== true) return { ours: 0, others: 0 };
  try {
    const client = await connect(running.port, password, "postgres");
    return await countClients(client).finally(() => client.end());
  } catch (error) {
    const crowded = (error as { code?: string }).code === "53300"; // too many clients to ask
    return { ours: 0, others: crowded ? 1 : 0 };
  }
}
