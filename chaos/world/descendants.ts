import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";

/**
 * Ends every process that this one has started, whoever of its parts did it, and theirs: Postgres by the signal after
 * which it leaves nothing behind.
 */
export function endDescendants(): void {
  const all = processes();
  const doomed = new Set([process.pid]);
  for (let before = 0; before < doomed.size; ) {
    before = doomed.size;
    for (const { pid, parent } of all) if (doomed.has(parent)) doomed.add(pid);
  }
  doomed.delete(process.pid);
  for (const { pid, parent, name } of all) {
    if (!doomed.has(pid)) continue;
    const isBackend = all.some((one) => one.pid === parent && one.name === "postgres");
    if (name === "postgres" && isBackend) continue; // its postmaster ends it
    send(pid, name === "postgres" ? "SIGQUIT" : "SIGKILL");
    send(pid, "SIGCONT"); // one that was stopped would never hear of it
  }
}

interface Process {
  readonly pid: number;
  readonly parent: number;
  readonly name: string;
}

function send(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // it is gone
  }
}

function processes(): Process[] {
  return process.platform === "linux" ? ofProc() : ofPs();
}

function ofProc(): Process[] {
  return readdirSync("/proc").flatMap((entry) => {
    if (!/^\d+$/.test(entry)) return [];
    try {
      const stat = readFileSync(`/proc/${entry}/stat`, "utf8");
      const [, name = "", parent = "0"] = /\((.*)\) \S (\d+)/s.exec(stat) ?? [];
      return [{ pid: Number(entry), parent: Number(parent), name }];
    } catch {
      return []; // it ended meanwhile
    }
  });
}

function ofPs(): Process[] {
  const text = execFileSync("ps", ["-axo", "pid=,ppid=,comm="], { encoding: "utf8" });
  return text.split("\n").flatMap((line) => {
    const [, pid, parent, name = ""] = /^\s*(\d+)\s+(\d+)\s+(.*)$/.exec(line) ?? [];
    return pid === undefined
      ? []
      : [{ pid: Number(pid), parent: Number(parent), name: name.replace(/.*\//, "") }];
  });
}
