import { Tidebase } from "@tidebase/sdk";

/**
 * Spends inside and outside of steps, and dies by its own hand at the place named, if one is.
 * Usage: usage-worker.ts SERVER RUN [in-step | after-steps].
 */
const [url = "", runId = "", place = ""] = process.argv.slice(2);
const tidebase = new Tidebase({ url, resumeHint: false });
const dieAt = (here: string): void => {
  if (here === place) process.kill(process.pid, "SIGKILL");
};

await tidebase.run("spender", { runId }, async ({ step, usage, input: _ }) => {
  await step("first", () => usage.record({ kind: "llm", label: "first", costUsd: "1" }));
  await step("second", async () => {
    await usage.record({ kind: "llm", label: "second", costUsd: "10" });
    dieAt("in-step");
  });
  for (let n = 0; n < 2; n++) await usage.record({ kind: "fee", label: "twice", costUsd: 100 });
  await usage.record({ kind: "fee", label: "named", costUsd: "1000", key: "the fee" });
  dieAt("after-steps");
});
await tidebase.close();
