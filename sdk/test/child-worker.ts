import { isTidebaseError, Tidebase } from "@tidebase/sdk";

/**
 * Runs a parent that waits for a child of a queue, or works on one itself, and says when the child's
 * code begins. Usage: child-worker.ts SERVER RUN (queue | here).
 */
const [url = "", runId = "", mode = ""] = process.argv.slice(2);
const tidebase = new Tidebase({ url, onWait: "block" });

const result = tidebase.run("parent", { runId }, async ({ child }) => {
  if (mode === "queue") {
    setTimeout(() => process.stdout.write("waiting\n"), 100);
    return child("part", "part", { queue: "parts", input: 1 });
  }
  return child("part", async ({ step }) => {
    await step("first", () => process.stdout.write("first\n"));
    return step("second", () => {
      process.stdout.write("second\n");
      return new Promise(() => setInterval(() => {}, 1000));
    });
  });
});
await result.catch((error: unknown) => {
  if (!isTidebaseError(error)) throw error;
});
