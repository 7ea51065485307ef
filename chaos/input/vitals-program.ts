import { readFileSync } from "node:fs";
import { Agent, request } from "node:http";
import { setTimeout as delay } from "node:timers/promises";

/*
 * Asks a server for its health again and again, in a process of its own, so that whoever attacks the server
 * does not slow the watch. Ends with its input, and says then what it saw.
 */

const [url = "", pid = ""] = process.argv.slice(2);
const EVERY_MS = 25;
const agent = new Agent({ keepAlive: true, maxSockets: 1 });
const took: number[] = [];
let failures = 0;
let peakKb = 0;
let over = false;

function ask(): Promise<void> {
  const since = performance.now();
  return new Promise((resolve) => {
    const call = request(`${url}/health`, { agent, timeout: 30_000 }, (answer) => {
      answer.resume().once("end", () => {
        if (answer.statusCode === 200) took.push(performance.now() - since);
        else failures += 1;
        resolve();
      });
    });
    call.once("timeout", () => call.destroy(new Error("no answer")));
    call.once("error", () => {
      failures += 1;
      resolve();
    });
    call.end();
  });
}

/** Kilobytes of memory that the process has in use; 0 where the system does not tell. */
function residentKb(): number {
  try {
    const status = readFileSync(`/proc/${pid}/status`, "utf8");
    return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0);
  } catch {
    return 0;
  }
}

process.stdin.resume().once("end", () => {
  over = true;
});
const firstKb = residentKb();
while (!over) {
  await ask();
  peakKb = Math.max(peakKb, residentKb());
  await delay(EVERY_MS);
}
agent.destroy();
const lastKb = residentKb();
process.stdout.write(JSON.stringify({ took, failures, firstKb, peakKb, lastKb }));
