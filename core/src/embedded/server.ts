import { type ChildProcess, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import {
  type FileHandle,
  mkdtemp,
  open,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  writeFile,
} from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { StoreError } from "../store-error.ts";
import { type Binaries, unsupported } from "./binaries.ts";
import { giveTo, type Layout, readPassword } from "./home.ts";
import { servesDirectory } from "./live-process.ts";

/** What Postgres writes into `postmaster.pid`. */
interface Postmaster {
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

/**
 * Makes a new cluster. It is built beside its place and renamed into it: a kill in the middle leaves
 * nothing half made.
 */
export async function initialize(
  binaries: Binaries,
  layout: Layout,
  synced: boolean,
): Promise<void> {
  const { home, data, owner, password } = layout;
  const prefix = `${data}.new-`;
  for (const name of await readdir(home))
    if (join(home, name).startsWith(prefix))
      await rm(join(home, name), { recursive: true, force: true }).catch(() => {});
  const draft = await mkdtemp(prefix);
  await giveTo(owner, draft);
  await readPassword(layout);
  const flags = ["-D", draft, "-U", "tidebase", "-A", "scram-sha-256", `--pwfile=${password}`];
  const looks = ["--encoding=UTF8", "--locale=C", "--no-instructions"];
  await run(binaries.initdb, [...flags, ...looks, ...(synced ? [] : ["--no-sync"])], layout);
  await rename(draft, data);
  if (synced && process.platform !== "win32") {
    const folder = await open(home, "r");
    await folder.sync().finally(() => folder.close());
  }
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
export async function stop(layout: Layout, binaries?: Binaries): Promise<boolean> {
  const running = await findPostmaster(layout);
  if (running === undefined) return false;
  if (process.platform === "win32" && binaries !== undefined)
    await run(binaries.pgCtl, ["stop", "-m", "fast", "-w", "-D", layout.data], layout);
  else process.kill(running.pid, "SIGINT");
  for (const deadline = Date.now() + STOP_MS; await isRunning(layout, running.pid); ) {
    if (Date.now() > deadline) throw failed("The embedded Postgres did not stop", "", layout);
    await delay(POLL_MS);
  }
  return true;
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

function launch(
  program: string,
  parameters: readonly string[],
  { home, owner }: Layout,
  output: number | "pipe",
): ChildProcess {
  return spawn(program, parameters, {
    ...owner,
    cwd: home,
    // The server outlives whoever starts it: it gets none of the secrets in that environment.
    ...(process.platform === "win32" ? {} : { env: { PATH: "/usr/bin:/bin", LC_ALL: "C" } }),
    detached: output !== "pipe",
    windowsHide: true,
    stdio: ["ignore", output, output],
  });
}

async function run(program: string, parameters: readonly string[], layout: Layout): Promise<void> {
  const child = launch(program, parameters, layout, "pipe");
  let said = "";
  for (const stream of [child.stdout, child.stderr])
    stream?.setEncoding("utf8").on("data", (text: string) => {
      said += text;
    });
  const ended = new Promise<number | null>((resolve) => child.once("close", resolve));
  await spawned(child);
  if ((await ended) !== 0) throw failed(`${program} failed`, said, layout);
}

/** A program of another C library is there, and yet "not found". */
async function spawned(child: ChildProcess): Promise<void> {
  const error = await new Promise<NodeJS.ErrnoException | undefined>((resolve) => {
    child.once("spawn", () => resolve(undefined));
    child.once("error", resolve);
  });
  if (error === undefined) return;
  if (error.code === "ENOENT" || error.code === "ENOEXEC") throw unsupported(error);
  throw new StoreError("embedded_failed", {
    message: `The embedded Postgres cannot be run: ${error.message}.`,
    fix: "As root it must be able to become another user: run as a normal user, or set TIDEBASE_DATABASE_URL.",
    cause: error,
  });
}

function failed(what: string, said: string, { log }: Layout): StoreError {
  const lines = said.trim().split("\n").slice(-4).join(" ");
  return new StoreError("embedded_failed", {
    message: lines === "" ? `${what}.` : `${what}: ${lines}`,
    fix: `Read ${existsSync(log) ? log : "the message"}, or set TIDEBASE_DATABASE_URL to another Postgres.`,
  });
}

async function openLog(layout: Layout): Promise<FileHandle> {
  const { size } = await stat(layout.log).catch(() => ({ size: 0 }));
  if (size > LOG_MAX_BYTES) await rename(layout.log, `${layout.log}.1`);
  const log = await open(layout.log, "a", 0o600);
  await giveTo(layout.owner, layout.log);
  return log;
}

/** The port of last time, so that URLs stay valid; else a free one. */
async function choosePort({ port }: Layout): Promise<number> {
  const last = Number(await readFile(port, "utf8").catch(() => ""));
  if (Number.isInteger(last) && last > 0 && last < 65_536) {
    const free = await listen(last);
    if (free !== undefined) return free;
  }
  const any = await listen(0);
  if (any === undefined) throw new Error("No free port.");
  return any;
}

async function listen(port: number): Promise<number | undefined> {
  const probe = createServer();
  const bound = await new Promise<boolean>((resolve) => {
    probe.once("error", () => resolve(false));
    probe.listen({ port, host: "127.0.0.1", exclusive: true }, () => resolve(true));
  });
  if (!bound) return undefined;
  const address = probe.address();
  await new Promise((resolve) => probe.close(resolve));
  return typeof address === "object" ? address?.port : undefined;
}
