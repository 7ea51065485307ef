import { Tidebase } from "@tidebase/sdk";

const [source = "https://example.com", target = "http://localhost:8080/"] = process.argv.slice(2);
const tide = new Tidebase(); // TIDEBASE_URL, else http://127.0.0.1:7373

// The same key finds the same run: started again, the program goes on where it stopped.
const digest = await tide.run("digest", { idempotencyKey: source }, async (run) => {
  const page = await run.step("fetch page", { timeoutMs: 30_000 }, async ({ signal }) =>
    (await fetch(source, { signal })).text(),
  );
  const words = await run.step("count words", () => page.split(/\s+/).length);
  await run.state.patch({ words }); // progress that people and assistants can watch
  const effect = { sideEffects: ["publishes the digest"], idempotencyKey: run.runId };
  await run.step("publish", effect, async ({ signal }) => {
    const headers = { "idempotency-key": run.runId };
    await fetch(target, { method: "POST", headers, body: String(words), signal });
  });
  return { source, words };
});
console.log(digest);
await tide.close();
