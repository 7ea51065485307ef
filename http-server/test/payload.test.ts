import { expect, test } from "vitest";
import { useDatabase } from "../../core/test/support/database.ts";
import { createApp } from "../src/index.ts";
import { poster } from "./support.ts";

const db = useDatabase();
const app = createApp(db.core);
const post = poster(app);

const DEEP = `${'{"a":['.repeat(1000)}1${"]}".repeat(1000)}`;

/** JSON texts as JavaScript writes them, so that bit for bit can be asked of the way there and back. */
const PAYLOADS = [
  ["a NUL", JSON.stringify("a\0b")],
  ["lone surrogates", JSON.stringify(["\ud800", "\udfff x"])],
  ["a key named __proto__", '{"__proto__":{"x":1},"constructor":2,"toString":null}'],
  ["2,000 levels", DEEP],
  ["a minus zero as its digits", "[0,1.5,1e-7,123456789012345680000]"],
  ["every line break", JSON.stringify("\r\n\u2028\u2029\u0085")],
  ["an emoji and right-to-left marks", JSON.stringify("👩‍👩‍👧 \u202e abc")],
  ["null", "null"],
  ["an empty text", '""'],
] as const;

test.each(PAYLOADS)("a step's output with %s comes back bit for bit", async (_, text) => {
  const lease = await db.begun();
  const { runId } = lease;
  const item = `{"runId":"${runId}","epoch":${lease.epoch},"grantId":"${lease.grantId}","name":"s","output":${text}}`;
  const kept = await post("/v1/steps/complete", `{"items":[${item}]}`);
  expect(await kept.text()).toContain('"completed"');
  const journal = await app.request(`/v1/runs/${runId}/journal`);
  expect(await journal.text()).toContain(`"output":${text}`);
});

test.each(PAYLOADS)("a run's input and result with %s come back bit for bit", async (_, text) => {
  const created = await post("/v1/runs", `{"workflow":"w","input":${text}}`);
  const { runId } = JSON.parse(await created.text()) as { runId: string };
  const read = await app.request(`/v1/runs/${runId}?include=input`);
  expect(await read.text()).toContain(`"input":${text}`);
});
