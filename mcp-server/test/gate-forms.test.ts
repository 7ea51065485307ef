import { type ElicitResult, ErrorCode, McpError } from "@modelcontextprotocol/sdk/types.js";
import { beforeEach, describe, expect, test } from "vitest";
import { useDatabase } from "../../core/test/support/database.ts";
import { decide, gateOf, newHuman, openGate, phraseIn } from "./gate-support.ts";
import { type Answer, useAgent } from "./support.ts";

const db = useDatabase();
const human = newHuman();
const agent = useAgent(() => ({ TIDEBASE_DATABASE_URL: db.url }), {
  answerForm: human.answerForm,
});
const plain = useAgent(() => ({ TIDEBASE_DATABASE_URL: db.url }));

beforeEach(() => {
  human.forms.length = 0;
});

const approve = (gateId: string): object => ({ gateId, proposedDecision: "approved" });

async function refusedByForm(gateId: string): Promise<Answer> {
  const error = await agent.refused("tidebase_resolve_gate", approve(gateId));
  expect(await gateOf(db, gateId)).toMatchObject({ status: "open", decidedBy: null });
  const phrase = human.forms.map(phraseIn).at(-1);
  if (phrase !== undefined) expect(JSON.stringify(error)).not.toContain(phrase);
  return error;
}

describe("a client that answers in place of its human never approves", () => {
  const SCHEMA = {
    type: "object",
    properties: { sure: { type: "boolean" }, copies: { type: "integer" } },
    required: ["sure"],
  };
  const accepted = (content?: ElicitResult["content"]) => (): ElicitResult =>
    content === undefined ? { action: "accept" } : { action: "accept", content };

  test.each<[string, ElicitResult["content"] | undefined]>([
    ["without content", undefined],
    ["with empty content", {}],
    ["with what types default to", { decision: "", phrase: "", answer_sure: false, note: "" }],
    ["with the first choice and nothing typed", { decision: "approved", phrase: "" }],
    ["with the decision only", { decision: "approved" }],
    ["with a blank phrase", { decision: "approved", phrase: "   " }],
    ["with a phrase that is no text", { decision: "approved", phrase: true }],
    ["with another decision", { decision: "yes", phrase: "amber-1000" }],
    ["with everything named alike", { approved: true, confirm: true, accept: true }],
  ])("%s", async (_, content) => {
    const { gateId } = await openGate(db, { answerSchema: SCHEMA });
    human.will(accepted(content));
    const error = await refusedByForm(gateId);
    expect(error).toMatchObject({ code: "gate_needs_human", outcome: "pendingHuman", gateId });
    expect(error.message).toContain("without filling it in");
  });

  test.each([
    ["a wrong phrase", "amber-0000"],
    ["the words of the field", "Phrase"],
    ["the field's description", "Type it"],
  ])("with %s", async (_, phrase) => {
    const { gateId } = await openGate(db);
    human.will(accepted({ decision: "approved", phrase }));
    expect(await refusedByForm(gateId)).toMatchObject({ code: "gate_code_invalid" });
  });

  test("with each text of the form as the phrase", async () => {
    const { gateId } = await openGate(db);
    human.will(({ requestedSchema }) => {
      const field = requestedSchema.properties["phrase"] as { description: string };
      return { action: "accept", content: { decision: "approved", phrase: field.description } };
    });
    expect(await refusedByForm(gateId)).toMatchObject({ code: "gate_code_invalid" });
  });

  test("with the phrase of an older form", async () => {
    const { gateId } = await openGate(db);
    human.will(() => ({ action: "decline" }));
    await refusedByForm(gateId);
    const [shown] = human.forms;
    const phrase = shown === undefined ? "" : phraseIn(shown);
    human.will(accepted({ decision: "approved", phrase }));
    expect(await refusedByForm(gateId)).toMatchObject({ code: "gate_code_invalid" });
  });

  test("with the phrase of another gate's form", async () => {
    const [one, other] = [await openGate(db), await openGate(db)];
    human.will(() => ({ action: "decline" }));
    await refusedByForm(other.gateId);
    const [shown] = human.forms;
    const phrase = shown === undefined ? "" : phraseIn(shown);
    human.will(accepted({ decision: "approved", phrase }));
    expect(await refusedByForm(one.gateId)).toMatchObject({ code: "gate_code_invalid" });
  });

  test("the question's own answer is not filled in for the human", async () => {
    const { gateId } = await openGate(db, { answerSchema: SCHEMA });
    human.fillsIn({ decision: "approved" });
    expect(await refusedByForm(gateId)).toMatchObject({ code: "gate_answer_invalid" });
  });
});

test("the human's decision counts, not the agent's, and a rejection needs no answer", async () => {
  const { gateId } = await openGate(db, {
    answerSchema: { type: "object", properties: { n: { type: "number" } }, required: ["n"] },
  });
  human.fillsIn({ decision: "rejected", note: "Not today" });
  const answer = await agent.call("tidebase_resolve_gate", approve(gateId));
  expect(answer).toMatchObject({
    outcome: "rejected",
    untrusted: { data: { note: "Not today" } },
    hints: [expect.stringContaining("otherwise")],
  });
});

test("the form's answer is the human's, and an agent cannot add one", async () => {
  const { gateId } = await openGate(db, {
    answerSchema: { type: "object", properties: { n: { type: "number" } }, required: ["n"] },
  });
  human.fillsIn({ decision: "approved", answer_n: "1" });
  const more = { answer: { n: 1000 }, note: "The human insists" };
  expect(
    await agent.refused("tidebase_resolve_gate", { ...approve(gateId), ...more }),
  ).toMatchObject({ code: "input_invalid" });
  await agent.call("tidebase_resolve_gate", approve(gateId));
  expect(await gateOf(db, gateId)).toMatchObject({ answer: { n: 1 }, note: null });
});

test("a number that a client sends as text is decimal", async () => {
  const { gateId } = await openGate(db, {
    answerSchema: { type: "object", properties: { n: { type: "number" } }, required: ["n"] },
  });
  human.fillsIn({ decision: "approved", answer_n: "0x10" });
  expect(await refusedByForm(gateId)).toMatchObject({ code: "gate_answer_invalid" });
});

test("a gate that asks something else by the time of the answer is not approved", async () => {
  const { gateId, ask } = await openGate(db, { data: { amount: 10 } });
  human.will(async (form) => {
    expect(form.message).toContain('{"amount":10}');
    expect(await ask({ data: { amount: 9999 } })).toBe(gateId);
    return { action: "accept", content: { decision: "approved", phrase: phraseIn(form) } };
  });
  expect(await refusedByForm(gateId)).toMatchObject({ code: "gate_changed" });
  expect(await gateOf(db, gateId)).toMatchObject({ revision: 2, data: { amount: 9999 } });
});

test("what a run wrote stays on its own line of the form, cut and without hidden characters", async () => {
  const { gateId } = await openGate(db, {
    prompt: `Fine?\nRisk: low.\nTo decide, type yes.\u202e${"x".repeat(3000)}`,
    risk: "normal",
    answerSchema: {
      type: "object",
      properties: { phrase: { type: "string", title: "A\u200bB", enum: ["a\u200b", "b"] } },
    },
  });
  human.fillsIn({ decision: "rejected" });
  await agent.call("tidebase_resolve_gate", approve(gateId));
  const { message, requestedSchema } = human.forms[0] ?? expect.fail("No form was shown.");
  const lines = message.split("\n");
  expect(lines.filter((line) => line.startsWith("Risk:"))).toEqual([
    "Risk: normal. Expires: never.",
  ]);
  expect(lines[2]).toMatch(/^> Question: "Fine\?\\nRisk: low.*more characters\]"$/);
  expect(lines[2]?.length).toBeLessThan(500);
  expect(message).not.toMatch(/[\u202e\u200b]/);
  expect(requestedSchema.properties["answer_phrase"]).toEqual({
    type: "string",
    title: "A\\u{200b}B",
    enum: ["a\u200b", "b"],
    enumNames: ["a\\u{200b}", "b"],
  });
});

describe("a form that nobody fills in leaves the gate open", () => {
  test("when the human declines after reading", async () => {
    const { gateId } = await openGate(db);
    human.will(async () => {
      const since = performance.now();
      await expect.poll(() => performance.now() - since).toBeGreaterThan(320); // reads, at least
      return { action: "cancel" };
    });
    const answer = await agent.call("tidebase_resolve_gate", approve(gateId));
    expect(answer).toMatchObject({ gateId, outcome: "declined" });
    expect(await gateOf(db, gateId)).toMatchObject({ status: "open" });
  });

  test("when the client declines before anybody can have read it", async () => {
    const { gateId } = await openGate(db);
    human.will(() => ({ action: "decline" }));
    const error = await refusedByForm(gateId);
    expect(error.message).toContain("probably showed no form");
    expect(error).toMatchObject({ outcome: "pendingHuman", required: "client_form" });
    expect(error.ways.map(({ by }: Answer) => by)).toEqual(["code", "terminal"]);
  });

  test("when the human takes longer than the form is good", async () => {
    const { gateId } = await openGate(db);
    human.will(() => new Promise(() => {}));
    await db.advance("-298 seconds"); // by this machine's clock the phrase is good for two seconds
    const error = await refusedByForm(gateId).finally(() => db.advance("298 seconds"));
    expect(error).toMatchObject({ code: "gate_needs_human", outcome: "pendingHuman" });
    expect(error.message).toContain("did not answer the form in time");
  });

  test.each([
    [ErrorCode.InternalError, "could not show the form"],
    [ErrorCode.MethodNotFound, "could not show the form"],
    [ErrorCode.RequestTimeout, "did not answer the form in time"],
  ])("when the client fails with %i, whatever it says", async (code, message) => {
    const { gateId } = await openGate(db);
    human.will((form) => {
      throw new McpError(code, `I will not show ${phraseIn(form)}`);
    });
    const error = await refusedByForm(gateId);
    expect(error).toMatchObject({ outcome: "pendingHuman" });
    expect(error.message).toContain(message);
  });

  test("when the client shows no forms", async () => {
    const { gateId } = await openGate(db);
    const error = await plain.refused("tidebase_resolve_gate", approve(gateId));
    expect(error).toMatchObject({ code: "gate_needs_human", outcome: "pendingHuman" });
    expect(error.ways[0].how).toContain(`npx tidebase gates code ${gateId}`);
    expect(error.fix).toContain("tidebase_wait_for_run");
    expect(JSON.stringify(error).length).toBeLessThan(1600);
    const { howToDecide } = await plain.call("tidebase_get_gate", { gateId });
    expect(howToDecide[0].by).toBe("code");
  });

  test("when the agent takes its call back", async () => {
    const { gateId } = await openGate(db);
    const taken = new AbortController();
    human.will(() => {
      taken.abort();
      return { action: "cancel" };
    });
    const params = { name: "tidebase_resolve_gate", arguments: { ...approve(gateId) } };
    await expect(
      agent.client.callTool(params, undefined, { signal: taken.signal }),
    ).rejects.toThrow();
    expect(await gateOf(db, gateId)).toMatchObject({ status: "open" });
  });
});

test("a gate that somebody else decides while the form is shown keeps that decision", async () => {
  const { gateId } = await openGate(db);
  human.will(async (form) => {
    await decide(db, gateId, "rejected");
    return { action: "accept", content: { decision: "approved", phrase: phraseIn(form) } };
  });
  const answer = await agent.call("tidebase_resolve_gate", approve(gateId));
  expect(answer).toMatchObject({ outcome: "rejected", via: "tty" });
});

test("forms are shown one at a time, and the client hears that the call goes on", async () => {
  const gates = [await openGate(db), await openGate(db), await openGate(db)];
  let shown = 0;
  human.will(async (form) => {
    shown += 1;
    expect(shown).toBe(1);
    await new Promise(setImmediate);
    shown -= 1;
    return { action: "accept", content: { decision: "approved", phrase: phraseIn(form) } };
  });
  const heard: unknown[] = [];
  const answers = await Promise.all(
    gates.map(({ gateId }) =>
      agent.client.callTool(
        { name: "tidebase_resolve_gate", arguments: { ...approve(gateId) } },
        undefined,
        { onprogress: (progress) => heard.push(progress) },
      ),
    ),
  );
  for (const { structuredContent } of answers)
    expect(structuredContent).toMatchObject({ outcome: "approved" });
  expect(heard).toHaveLength(3);
  expect(heard[0]).toMatchObject({ progress: 1, message: expect.stringContaining("human") });
});
