import { readFileSync } from "node:fs";

/**
 * What Linux tells of a process in /proc/pid/stat (proc(5)): state is field 3, the start in ticks since
 * boot field 22; the name before them may hold anything. Throws as reading a file does.
 */
export function readStat(pid: number): { ended: boolean; startTime: string | undefined } {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return { ended: fields[0] === "Z" || fields[0] === "X", startTime: fields[19] };
}

/** Whether a process has this id, also one that /proc hides (hidepid, ProtectProc=): a signal finds it. */
export function exists(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== "ESRCH";
  }
}
