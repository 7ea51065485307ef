import { spawn } from "node:child_process";
import { once } from "node:events";

/** What an idle machine of two cores takes to start and end Node, ms. */
const USUAL_MS = 100;
const LOOKS = 3;

/**
 * How many times slower than an idle one this machine is now, 1 to 4, by how long a process takes to start and end. Leases
 * are made longer by it: on a starved machine short ones are lost without any fault, and a trial shows that alone.
 */
export async function slowness(): Promise<number> {
  const took: number[] = [];
  for (let look = 0; look < LOOKS; look++) {
    const since = performance.now();
    await once(spawn(process.execPath, ["-e", "0"], { stdio: "ignore" }), "exit");
    took.push(performance.now() - since);
  }
  const [, median = USUAL_MS] = took.sort((a, b) => a - b);
  return Math.min(4, Math.max(1, median / USUAL_MS));
}
