import { type Run, Tidebase } from "@tidebase/sdk";

/* Runs one run after the other until its input ends, and tells of every step that it executes. */

const STEPS = 10;
const tide = new Tidebase();
let asked = true;
process.stdin.on("end", () => (asked = false)).resume();
let done = 0;
for (; asked; done++) {
  await tide.run("ride", async (run: Run<undefined>) => {
    for (let n = 0; n < STEPS; n++)
      await run.step("stretch", { key: String(n) }, () => {
        console.log(`did ${run.runId} ${n}`);
        return n;
      });
  });
}
console.log(`ended after ${done} runs`);
await tide.close();
