import { readFileSync, readlinkSync } from "node:fs";
import { hostname } from "node:os";

/** A process, named so exactly that another on the same machine can prove that it is gone. */
export interface Holder {
  readonly host: string;
  readonly bootId?: string;
  readonly pidNamespace?: string;
  readonly pid: number;
  readonly startTime?: string;
}

/** This process. Where the system tells no more (not Linux), host, pid and start only. */
export function thisProcess(): Holder {
  const known = { host: hostname(), pid: process.pid };
  try {
    return {
      ...known,
      bootId: readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim(),
      pidNamespace: readlinkSync("/proc/self/ns/pid"),
      ...startOf(process.pid),
    };
  } catch {
    return { ...known, startTime: new Date(performance.timeOrigin).toISOString() };
  }
}

/**
 * Whether the holder is a process of this very machine that is provably gone. False whenever that
 * cannot be proven.
 */
export function isProvablyGone(holder: unknown, here: Holder): boolean {
  if (!isHolder(holder) || holder.bootId === undefined || holder.pidNamespace === undefined)
    return false;
  if (holder.host !== here.host || holder.startTime === undefined) return false;
  if (holder.bootId !== here.bootId || holder.pidNamespace !== here.pidNamespace) return false;
  try {
    const alive = startOf(holder.pid);
    return alive === undefined || alive.startTime !== holder.startTime;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "ENOENT" && !exists(holder.pid);
  }
}

/** /proc may hide the processes of other users (hidepid, ProtectProc=); a signal finds them. */
function exists(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== "ESRCH";
  }
}

/** `process 4711 on laptop`, as far as it is known. */
export function describeHolder(holder: unknown): string {
  return isHolder(holder) ? `process ${holder.pid} on ${holder.host}` : "another worker";
}

function isHolder(holder: unknown): holder is Holder {
  return typeof holder === "object" && holder !== null && "host" in holder && "pid" in holder;
}

/**
 * State and start time are fields 3 and 22 of /proc/pid/stat (proc(5)); the name before them may
 * hold spaces and brackets. Undefined for a zombie, which does nothing any more.
 */
function startOf(pid: number): { startTime: string } | undefined {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  if (fields[0] === "Z" || fields[0] === "X") return undefined;
  return { startTime: fields[19] ?? "" };
}
