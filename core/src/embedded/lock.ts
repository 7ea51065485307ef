import { randomUUID } from "node:crypto";
import { link, readFile, rm, writeFile } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";
import { StoreError } from "../store/error.ts";
import { isAlive, ownIdentity, type ProcessIdentity } from "./live-process.ts";

interface Holder extends ProcessIdentity {
  readonly token: string;
}

const POLL_MS = 20;

/**
 * Does the work while this process alone holds the lock file. The lock of a process that ended is
 * broken. Throws `embedded_busy` when a live process keeps it for longer than `waitMs`.
 */
export async function withLock<T>(
  path: string,
  waitMs: number,
  work: () => Promise<T>,
): Promise<T> {
  const own: Holder = { ...ownIdentity(), token: randomUUID() };
  await acquire(path, own, Date.now() + waitMs);
  try {
    return await work();
  } finally {
    await rm(path, { force: true });
  }
}

async function acquire(path: string, own: Holder, deadline: number): Promise<void> {
  while (!(await create(path, own))) {
    const holder = await readHolder(path);
    if (holder === undefined) continue; // released in between
    if (!isAlive(holder)) await breakLock(path, holder, own);
    else if (Date.now() < deadline) await delay(POLL_MS);
    else throw busy(path, holder);
  }
}

/** A linked file appears at once and whole: nobody ever reads a lock without its holder. */
async function create(path: string, holder: Holder): Promise<boolean> {
  const draft = `${path}.${randomUUID()}`;
  await writeFile(draft, JSON.stringify(holder)); // for root and the user it becomes alike
  try {
    await link(draft, path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw error;
  } finally {
    await rm(draft, { force: true });
  }
}

/**
 * Only the process that holds the right to break this very lock removes it: another may have read
 * the dead holder's name long ago, and would remove the lock of whoever came next.
 */
async function breakLock(path: string, dead: Holder, own: Holder): Promise<void> {
  const right = `${path}.${dead.token}`;
  if (await create(right, own)) {
    try {
      if ((await readHolder(path))?.token === dead.token) await rm(path, { force: true });
    } finally {
      await rm(right, { force: true });
    }
    return;
  }
  const breaker = await readHolder(right);
  if (breaker === undefined) return;
  if (isAlive(breaker)) await delay(POLL_MS);
  else await breakLock(right, breaker, own);
}

async function readHolder(path: string): Promise<Holder | undefined> {
  try {
    return JSON.parse(await readFile(path, "utf8")) as Holder;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    if (error instanceof SyntaxError) return { pid: 0, startedAt: "", token: "unreadable" };
    throw error;
  }
}

function busy(path: string, { pid }: Holder): StoreError {
  return new StoreError("embedded_busy", {
    message: `Process ${pid} has been starting or stopping the embedded Postgres for too long.`,
    fix: `Try again. If process ${pid} hangs, end it; its lock ${path} is then ignored.`,
  });
}
