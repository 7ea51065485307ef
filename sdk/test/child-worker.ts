import { Tidebase } from "@tidebase/sdk";

/**
 * Two parents in one process: one waits for a child of the queue `parts`, the other works on its child
 * itself, says so, and comes to no end. Usage: child-worker.ts SERVER WAITING WORKING.
 */
const [url = "", waiting = "", working = ""] = process.argv.slice(2);
const tidebase = new Tidebase({ url, onWait: "block" });

const waits = tidebase.run("parent", { runId: waiting }, ({ child }) =>
  child("part", "part", { queue: "parts", input: 1 }),
);
const works = tidebase.run("parent", { runId: working }, ({ child }) =>
  child("part", async ({ step }) => {
    await step("first", () => 1);
    return step("second", () => {
      process.stdout.write("working\n");
      return new Promise(() => {});
    });
  }),
);
await Promise.all([waits, works]);
