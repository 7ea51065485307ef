import { execFileSync } from "node:child_process";
import { readFileSync, readlinkSync, statSync } from "node:fs";
import { exists, readStat } from "../process-stat.ts";

/** A process that cannot be mistaken for a later one with the same id. */
export interface ProcessIdentity {
  readonly pid: number;
  /** Opaque; empty where the platform does not tell. */
  readonly startedAt: string;
}

/** This process. */
export function ownIdentity(): ProcessIdentity {
  return { pid: process.pid, startedAt: startTime(process.pid) ?? "" };
}

/** Whether that very process still runs: neither ended, nor a zombie, nor replaced by another. */
export function isAlive({ pid, startedAt }: ProcessIdentity): boolean {
  return startTime(pid) === startedAt;
}

/**
 * Whether the process is a Postgres that serves the data directory. In doubt (another Postgres, whose
 * directory cannot be seen) it counts as one: its files must not be touched.
 */
export function servesDirectory(pid: number, data: string): boolean {
  if (startTime(pid) === undefined) return false;
  if (process.platform === "win32") return true;
  if (process.platform !== "linux") return /\bpostgres\b/.test(ps(pid, "command="));
  try {
    return readlinkSync(`/proc/${pid}/cwd`) === data; // a postmaster works in its data directory
  } catch {
    return ownsDirectory(pid, data) && read(`/proc/${pid}/comm`)?.trim() === "postgres";
  }
}

/** Postgres serves no directory of another user. */
function ownsDirectory(pid: number, data: string): boolean {
  try {
    return statSync(`/proc/${pid}`).uid === statSync(data).uid;
  } catch {
    return false; // it just ended
  }
}

function startTime(pid: number): string | undefined {
  if (!Number.isSafeInteger(pid) || pid <= 0) return undefined;
  if (process.platform === "linux") return startTimeOnLinux(pid);
  if (process.platform === "win32") return exists(pid) ? "" : undefined;
  const [state = "", ...started] = ps(pid, "stat=,lstart=").split(/\s+/);
  return state === "" || state.startsWith("Z") ? undefined : started.join(" ");
}

/** Ticks since which boot: the number alone comes again. */
function startTimeOnLinux(pid: number): string | undefined {
  try {
    const stat = readStat(pid);
    const bootId = read("/proc/sys/kernel/random/boot_id")?.trim();
    return stat.ended ? undefined : `${bootId} ${stat.startTime}`;
  } catch {
    return undefined;
  }
}

function ps(pid: number, columns: string): string {
  try {
    return execFileSync("ps", ["-o", columns, "-p", String(pid)], {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
    }).trim();
  } catch {
    return "";
  }
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}
