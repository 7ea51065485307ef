import { Tidebase } from "@tidebase/sdk";

/**
 * Works on a queue whose runs take one step and then rest for so many milliseconds in a second one.
 * Usage: queue-worker.ts SERVER QUEUE REST DRAIN.
 */
const [url = "", queue = "", rest = "", drain = ""] = process.argv.slice(2);
const tidebase = new Tidebase({ url });

tidebase.workflow("resting", async ({ step, runId }) => {
  await step("first", () => process.pid);
  return step("second", async ({ signal }) => {
    process.stdout.write(`working on ${runId}\n`);
    await new Promise((resolve, reject) => {
      setTimeout(resolve, Number(rest));
      signal.addEventListener("abort", () => reject(signal.reason));
    });
    return process.pid;
  });
});
const worker = tidebase.work({ queues: [queue], drainMs: Number(drain) });
void worker.done.then(() => process.stdout.write("stopped\n"));
