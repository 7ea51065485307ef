import { spawn } from "node:child_process";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { ROOT, SOURCE } from "./serving.ts";

/** How a server was while it was attacked. */
export interface Vitals {
  readonly probes: number;
  readonly failures: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
  /** Resident memory in MB; 0 where the system does not tell. */
  readonly firstMb: number;
  readonly peakMb: number;
  readonly lastMb: number;
}

const PROGRAM = fileURLToPath(new URL("./vitals-program.ts", import.meta.url));

/** Watches the server's health and memory until the result is called. */
export function watchVitals(url: string, pid: number): () => Promise<Vitals> {
  const child = spawn(process.execPath, [...SOURCE, PROGRAM, url, String(pid)], {
    cwd: ROOT,
    env: {},
    stdio: ["pipe", "pipe", "inherit"],
  });
  const said = text(child.stdout);
  return async () => {
    child.stdin.end();
    const { took, failures, firstKb, peakKb, lastKb } = JSON.parse(await said) as {
      readonly took: number[];
      readonly failures: number;
      readonly firstKb: number;
      readonly peakKb: number;
      readonly lastKb: number;
    };
    const sorted = took.sort((one, other) => one - other);
    const at = (share: number) => round(sorted[Math.floor(share * (sorted.length - 1))] ?? 0);
    return {
      ...{ probes: sorted.length, failures, p50Ms: at(0.5), p99Ms: at(0.99), maxMs: at(1) },
      ...{ firstMb: toMb(firstKb), peakMb: toMb(peakKb), lastMb: toMb(lastKb) },
    };
  };
}

const round = (ms: number) => Math.round(ms * 10) / 10;
const toMb = (kb: number) => Math.round(kb / 1024);
