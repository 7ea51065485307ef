import { isTidebaseError, Tidebase } from "@tidebase/sdk";

/**
 * Waits in one run: for an hour without giving up its process, or at a gate with an hour's patience,
 * and then has nothing left to do. Usage: waiting-worker.ts SERVER RUN (sleep | gate).
 */
const [url = "", runId = "", mode = ""] = process.argv.slice(2);
const tidebase = new Tidebase({ url, onWait: mode === "sleep" ? "block" : "suspend" });

const run = tidebase.run("waiter", { runId }, async ({ gate, sleep }) => {
  if (mode === "sleep") return sleep("long", "1h");
  return Promise.race([gate("ask", { prompt: "Well?" }), sleep("patience", "1h")]);
});
await run.catch((error: unknown) => {
  if (!isTidebaseError(error, "run_suspended")) throw error;
  process.stdout.write("suspended\n");
});
