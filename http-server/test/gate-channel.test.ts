import { afterAll, expect, test } from "vitest";
import { openDatabase } from "../../core/src/database.ts";
import { issueForChannel } from "../../core/src/gates/channel.ts";
import { useDatabase } from "../../core/test/support/database.ts";
import { createApp } from "../src/index.ts";
import { auditOf, browser, gateOf, openGate, type TestGate } from "./gate-support.ts";

const db = useDatabase();
const app = createApp(db.core);
const reader = browser(app);
const channels = openDatabase({ databaseUrl: db.url });
afterAll(() => channels.close());

/** What a channel's message would carry. */
async function tokensOf(gate: TestGate): Promise<{ approved: string; rejected: string }> {
  const { gateId, digest } = gate;
  const issued = await issueForChannel(channels, {
    gateId,
    digest,
    channel: await db.channel("mail"),
  });
  return { approved: issued?.approved.token ?? "", rejected: issued?.rejected.token ?? "" };
}

test("a channel's token decides what it was made for, once, without a session", async () => {
  const gate = await openGate(db);
  const { approved: token } = await tokensOf(gate);
  const fields = { token, digest: gate.digest, note: "by mail" };
  const wrong = await reader.post(`${gate.path}/redeem`, { ...fields, decision: "rejected" });
  expect(wrong.status).toBe(403);
  expect(await wrong.text()).toContain("does not decide this");
  const answer = await reader.post(`${gate.path}/redeem`, { ...fields, decision: "approved" });
  expect([answer.status, answer.headers.get("location")]).toEqual([303, gate.path]);
  expect(await gateOf(db, gate.gateId)).toMatchObject({
    ...{
      status: "approved",
      decidedBy: expect.stringMatching(/^channel mail-/),
      via: "token",
      assurance: "code",
    },
    note: "by mail",
  });
  expect(await auditOf(db, gate.gateId)).toEqual([
    "page/token gates.redeem attempted",
    "page/token gates.redeem gate_code_invalid",
    "page/token gates.redeem attempted",
    "page/token gates.redeem done",
  ]);
});

test("a token of another gate, of an older question, or of nobody decides nothing", async () => {
  const [gate, another] = [await openGate(db), await openGate(db)];
  const { approved: foreign } = await tokensOf(another);
  const { approved: older } = await tokensOf(gate);
  const digest = await gate.revise({ prompt: "Something else?" });
  for (const token of [foreign, older, "A".repeat(43), ""]) {
    const fields = { token, digest, decision: "approved" };
    const { status } = await reader.post(`${gate.path}/redeem`, fields);
    expect([400, 403]).toContain(status);
  }
  expect(await gateOf(db, gate.gateId)).toMatchObject({ status: "open" });
});

test("a token sent by another site's page decides nothing and is in the audit trail", async () => {
  const gate = await openGate(db);
  const { approved: token } = await tokensOf(gate);
  const fields = { token, digest: gate.digest, decision: "approved" };
  const headers = { origin: "https://evil.example" };
  expect((await reader.post(`${gate.path}/redeem`, fields, headers)).status).toBe(403);
  expect(await auditOf(db, gate.gateId)).toEqual(["page/page gates.redeem scope_missing"]);
  expect(await gateOf(db, gate.gateId)).toMatchObject({ status: "open" });
});

test("an answer that is missing can be corrected: the token stays good and stays in the form", async () => {
  const answerSchema = { type: "object", properties: { n: { type: "integer" } }, required: ["n"] };
  const gate = await openGate(db, { answerSchema });
  const { approved: token } = await tokensOf(gate);
  const fields = { token, digest: gate.digest, decision: "approved" };
  const refused = await reader.post(`${gate.path}/redeem`, fields);
  expect(refused.status).toBe(422);
  const text = await refused.text();
  expect(text).toMatch(new RegExp(`<form id="by-token-approved" data-way method.*${token}`, "s"));
  expect(text).toMatch(/<form id="by-token-rejected" data-way hidden/);
  const corrected = { ...fields, "answer.n": "7" };
  expect((await reader.post(`${gate.path}/redeem`, corrected)).status).toBe(303);
  expect(await gateOf(db, gate.gateId)).toMatchObject({ status: "approved", answer: { n: 7 } });
});

test("a gate that asks for somebody signed in takes no token", async () => {
  const gate = await openGate(db, { risk: "critical" });
  const { approved: token } = await tokensOf(gate);
  const fields = { token, digest: gate.digest, decision: "approved" };
  const answer = await reader.post(`${gate.path}/redeem`, fields);
  expect(answer.status).toBe(403);
  expect(await answer.text()).toContain("surer that a human decides");
});
