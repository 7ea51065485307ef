import { readFileSync, readlinkSync } from "node:fs";
import { hostname } from "node:os";
import { z } from "zod";
import { Name } from "../payload.ts";
import { exists, readStat } from "../process-stat.ts";

/**
 * The process that works under a lease. With `bootId`, `pidNamespace` and `startTime` a process on
 * the same machine can prove that it is gone (model.md §2).
 */
export const Holder = z.strictObject({
  host: Name,
  bootId: Name.optional(),
  pidNamespace: Name.optional(),
  pid: z.int().min(0),
  startTime: Name.optional().describe("Start of the process, as the kernel counts it."),
});
export type Holder = z.output<typeof Holder>;

/** How the owner would re-invoke the run: shown to whoever has to; never run by Tidebase. */
export const ResumeHint = z.strictObject({
  command: z.array(z.string().max(4000)).min(1).max(100),
  cwd: z.string().max(4000).optional(),
});
export type ResumeHint = z.output<typeof ResumeHint>;

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
 * another one under its number.
 */
export function isGone({ pid, startTime }: Holder): boolean {
  if (startTime === undefined) return false;
  try {
    const stat = readStat(pid);
    return stat.ended || stat.startTime !== startTime;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "ENOENT" && !exists(pid);
  }
}
