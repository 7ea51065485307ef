import { readFileSync, readlinkSync } from "node:fs";
import { hostname } from "node:os";
import type { Holder } from "./schema.ts";

/**
 * Names a machine (and container) so exactly that a process id means the same process to both who
 * wrote it and who reads it; undefined where the system does not tell enough to prove anything.
 */
export function machineOf({ host, bootId, pidNamespace }: Omit<Holder, "pid">): string | undefined {
  return bootId === undefined || pidNamespace === undefined
    ? undefined
    : `${host} ${bootId} ${pidNamespace}`;
}

/** This machine, as a holder on it would name it. */
export function thisMachine(): string | undefined {
  try {
    return machineOf({
      host: hostname(),
      bootId: readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim(),
      pidNamespace: readlinkSync("/proc/self/ns/pid"),
    });
  } catch {
    return undefined;
  }
}

/**
 * Whether the holder, a process of this machine, is provably gone: no such process, a zombie, or
 * another one under its number (proc(5): state is field 3, start time field 22 of /proc/pid/stat).
 */
export function isGone({ pid, startTime }: Holder): boolean {
  if (startTime === undefined) return false;
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return fields[0] === "Z" || fields[0] === "X" || fields[19] !== startTime;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "ENOENT" && !exists(pid);
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
