import { type FileHandle, open, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { StoreError } from "../store/error.ts";
import { type Binaries, type Package, prepareBinaries } from "./binaries.ts";
import { giveTo, type Layout } from "./home.ts";
import { servesDirectory } from "./live-process.ts";
import { choosePort } from "./port.ts";
import { failed, launch, run, spawned } from "./program.ts";

/** What Postgres writes into `postmaster.pid`. */
export interface Postmaster {
  readonly pid: number;
  readonly port: number;
  readonly ready: boolean;
}

const POLL_MS = 10;
const STOP_MS = 30_000;
const LOG_MAX_BYTES = 5_000_000;

/** The server that runs on this data directory, starting, ready or ending; undefined: none. */
export async function findPostmaster({ data }: Layout): Promise<Postmaster | undefined> {
  const text = await readFile(join(data, "postmaster.pid"), "utf8").catch(() => "");
  const lines = text.split("\n");
  const [pid, port] = [Number(lines[0]), Number(lines[3])];
  if (text === "" || !servesDirectory(pid, data)) return undefined;
  return { pid, port, ready: lines[7]?.trim() === "ready" };
}

/** Why the server did not start, and whether that may pass by itself. */
interface Started {
  readonly refusal?: StoreError;
  readonly passing: boolean;
}

/** One try to start the server, detached from this process. */
export async function start(
  binaries: Binaries,
  layout: Layout,
  settings: Readonly<Record<string, string>>,
): Promise<Started> {
  await dropStalePidFile(layout);
  const port = await choosePort(layout);
  const log = await openLog(layout);
  const { size } = await log.stat();
  const flags = Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`]);
  try {
    if (process.platform === "win32") await startOnWindows(binaries, layout, port, flags);
    else await startDetached(binaries, layout, ["-p", String(port), ...flags], log.fd);
  } catch (error) {
    if (error instanceof StoreError) throw error;
    const said = (await readFile(layout.log)).subarray(size).toString();
    const refusal = failed("The embedded Postgres did not start", said || String(error), layout);
    return { refusal, passing: MAY_PASS.test(said) };
  } finally {
    await log.close();
  }
  await writeFile(layout.port, `${port}\n`, { mode: 0o600 });
  await giveTo(layout.owner, layout.port);
  return { passing: true };
}

/** Backends of a killed server that still end, a server somebody else started, a port just taken. */
const MAY_PASS =
  /pre-existing shared memory block|lock file ".*" already exists|could not bind|Address already in use/;

/** Ends the server, letting it write everything out. Returns whether one was running. */
export async function stop(layout: Layout, found: Package): Promise<boolean> {
  const running = await findPostmaster(layout);
  if (running === undefined) return false;
  if (process.platform === "win32") await stopOnWindows(layout, found);
  else signal(running.pid);
  for (const deadline = Date.now() + STOP_MS; await isRunning(layout, running.pid); ) {
    if (Date.now() > deadline) throw failed("The embedded Postgres did not stop", "", layout);
    await delay(POLL_MS);
  }
  return true;
}

/** Signals are unknown there: one would end the server without a word. */
async function stopOnWindows(layout: Layout, found: Package): Promise<void> {
  const { pgCtl } = await prepareBinaries(found, layout);
  await run(pgCtl, ["stop", "-m", "fast", "-w", "-D", layout.data], layout);
}

/** A fast shutdown. */
function signal(pid: number): void {
  try {
    process.kill(pid, "SIGINT");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error; // it just ended
  }
}

async function isRunning(layout: Layout, pid: number): Promise<boolean> {
  return (await findPostmaster(layout))?.pid === pid;
}

/** Its process ended and left no word; or its id belongs to another program now, and Postgres refuses. */
async function dropStalePidFile(layout: Layout): Promise<void> {
  if (process.platform === "win32" || (await findPostmaster(layout)) !== undefined) return;
  await rm(join(layout.data, "postmaster.pid"), { force: true });
}

async function startDetached(
  { postgres }: Binaries,
  layout: Layout,
  flags: readonly string[],
  log: number,
): Promise<void> {
  const child = launch(postgres, ["-D", layout.data, ...flags], layout, log);
  child.unref();
  await spawned(child);
  for (;;) {
    const ended = child.exitCode ?? child.signalCode;
    if (ended !== null) throw new Error(`Postgres ended with ${ended}.`);
    const running = await findPostmaster(layout);
    if (running?.pid === child.pid && running?.ready) return;
    await delay(POLL_MS);
  }
}

/** An elevated shell may not run the server itself: pg_ctl gives its rights away first. */
async function startOnWindows(
  { pgCtl }: Binaries,
  layout: Layout,
  port: number,
  flags: readonly string[],
): Promise<void> {
  const options = ["-p", String(port), ...flags].map((flag) => `"${flag}"`).join(" ");
  const place = ["-D", layout.data, "-l", layout.log];
  await run(pgCtl, ["start", "-w", "-t", "60", ...place, "-o", options], layout);
}

async function openLog(layout: Layout): Promise<FileHandle> {
  const { size } = await stat(layout.log).catch(() => ({ size: 0 }));
  if (size > LOG_MAX_BYTES) await rename(layout.log, `${layout.log}.1`);
  const log = await open(layout.log, "a", 0o600);
  await giveTo(layout.owner, layout.log);
  return log;
}
