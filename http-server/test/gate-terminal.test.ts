import { afterEach, expect, test } from "vitest";
import { useDatabase } from "../../core/test/support/database.ts";
import { openGateTerminal } from "../src/gate-terminal.ts";
import { createApp } from "../src/index.ts";
import { auditOf, browser, gateOf, openGate } from "./gate-support.ts";

const db = useDatabase();
const app = createApp(db.core);
const ends = new Set<() => void>();
afterEach(() => {
  for (const end of ends) end();
  ends.clear();
});

/** What a terminal shows while it is open. */
async function terminal(): Promise<() => string> {
  let shown = "";
  const end = await openGateTerminal({
    core: db.core,
    url: "http://localhost",
    user: "ada",
    write: (text) => {
      shown += text;
    },
    onLost: (error) => {
      throw error;
    },
    pollMs: 20,
  });
  ends.add(end);
  return () => shown;
}

const CODE = /approve {2}([0-9A-Z]{4}-[0-9A-Z]{4})\n {2}reject {3}([0-9A-Z]{4}-[0-9A-Z]{4})/;

test("a gate opened while the server runs is shown once with codes and a link that work", async () => {
  await openGate(db, { prompt: "Opened before." });
  const shown = await terminal();
  expect(shown()).toContain("1 open from before: `npx tidebase gates list` shows them.");
  const gate = await openGate(db, { prompt: "Send it?\nNow\u202e\u001b[2J!", risk: "high" });
  await expect.poll(shown).toMatch(CODE);
  await expect.poll(shown).toContain("#link=");
  await openGate(db, { prompt: "The next one." });
  await expect.poll(shown).toContain("The next one.");
  expect(shown().split("Send it?")).toHaveLength(2);
  expect(shown()).not.toContain("Opened before.");
  expect(shown()).toContain("Send it? Now\\u{202e}\\u{1b}[2J!");
  const link = /http:\/\/localhost(\/gates\/gate_[\w-]+)#link=([\w-]+)/.exec(shown());
  expect(link?.[1]).toBe(gate.path);
  expect((await browser(app).post("/gates/session", { link: link?.[2] ?? "" })).status).toBe(303);
  const [, approve = ""] = CODE.exec(shown()) ?? [];
  const { gateId, digest } = gate;
  const proof = { kind: "code", secret: approve };
  await db.call("gates.redeem", { gateId, decision: "approved", digest, proof });
  expect(await gateOf(db, gateId)).toMatchObject({ status: "approved", decidedBy: "ada" });
  expect((await auditOf(db, gateId)).slice(0, 2)).toEqual([
    ...["ada/tty gates.code attempted", "ada/tty gates.code done"],
  ]);
});

test("a question that changed is shown anew", async () => {
  const shown = await terminal();
  const gate = await openGate(db, { prompt: "First?" });
  await expect.poll(shown).toContain("First?");
  await gate.revise({ prompt: "Second?" });
  await expect.poll(shown).toContain("Second?");
});

test("a gate that asks for somebody signed in comes with its link alone", async () => {
  const shown = await terminal();
  await openGate(db, { prompt: "Grave?", risk: "critical" });
  await expect.poll(shown).toContain("#link=");
  expect(shown()).not.toContain("approve");
});

test("a gate that asks for an answer is approved on the page, and its data is shown", async () => {
  const shown = await terminal();
  const answerSchema = { type: "object", properties: { n: { type: "integer" } }, required: ["n"] };
  await openGate(db, { prompt: "How many?", data: { max: 4 }, answerSchema });
  await expect.poll(shown).toContain("#link=");
  expect(shown()).toContain('  data     {"max":4}');
  expect(shown()).toMatch(/approve {2}on the page, with an answer\n {2}reject {3}[0-9A-Z]{4}-/);
});

test("an answer that may be left out takes no approval to the page", async () => {
  const shown = await terminal();
  const answerSchema = { type: "object", properties: { remark: { type: "string" } } };
  await openGate(db, { prompt: "Anything to add?", answerSchema });
  await expect.poll(shown).toMatch(CODE);
});

test("more gates than one page holds are each shown once", async () => {
  for (let n = 0; n < 205; n++) await openGate(db, { prompt: `Old ${n}.` });
  const shown = await terminal();
  const prompts = Array.from({ length: 3 }, (_, n) => `New ${n}.`);
  for (const prompt of prompts) await openGate(db, { prompt });
  for (const prompt of prompts) await expect.poll(shown).toContain(prompt);
  for (const prompt of prompts) expect(shown().split(prompt)).toHaveLength(2);
  expect(shown()).not.toContain("Old ");
});

test("of a flood it shows twenty and tells the number of the others", async () => {
  const shown = await terminal();
  const lease = await db.begun();
  const columns =
    "run_id, revision, digest, status, prompt, risk, required, approvals, opened_at, opened_by";
  const gate = await openGate(db, { prompt: "Flood." });
  await expect.poll(shown).toContain("Flood.");
  await db.pool.query(
    `insert into tidebase.gates (gate_id, name, key, ${columns})
     select gen_random_uuid(), 'flood', n::text, $1, revision, digest, status, prompt, risk, required, approvals, tidebase.now(), opened_by
       from tidebase.gates, generate_series(1, 25) n where gate_id = $2`,
    [lease.runId.slice(4), gate.gateId.slice(5)],
  );
  await expect.poll(shown, { timeout: 10_000 }).toContain("And 5 more:");
  expect(shown().split("Flood.")).toHaveLength(22);
});
