import { Tidebase } from "@tidebase/sdk";

/**
 * Begins a run and says so on standard output; then it is told to end, or has nothing left to do.
 * Usage: holding-worker.ts SERVER RUN (busy | own-handler | idle).
 */
const [url = "", runId = "", mode = ""] = process.argv.slice(2);
const tidebase = new Tidebase({ url });

if (mode === "own-handler")
  process.once("SIGTERM", () => {
    setTimeout(() => {
      process.stdout.write("cleaned up\n");
      process.exit(7);
    }, 500);
  });

const run = tidebase.run("held", { runId }, async ({ step }) => {
  await step("first", () => 1);
  await step("on the way", async ({ signal }) => {
    process.stdout.write("holding\n");
    if (mode === "idle") return new Promise(() => {});
    const timer = setInterval(() => {}, 1000);
    await new Promise((resolve) => signal.addEventListener("abort", resolve));
    clearInterval(timer);
    return "finished in time";
  });
  await new Promise(() => {});
});

await run.catch((error: unknown) => {
  if (mode !== "idle") throw error;
});
