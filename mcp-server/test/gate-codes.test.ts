import { describe, expect, test } from "vitest";
import { useDatabase } from "../../core/test/support/database.ts";
import { connectLazily, openConnection } from "../src/connection.ts";
import { toToolError } from "../src/tool-error.ts";
import { codeFor, gateOf, newHuman, openGate } from "./gate-support.ts";
import { type Answer, useAgent } from "./support.ts";

const db = useDatabase();
const env = (): Record<string, string> => ({ TIDEBASE_DATABASE_URL: db.url });
const human = newHuman();
const agent = useAgent(env, { answerForm: human.answerForm });

const HIGH = { risk: "high" };

async function redeem(gateId: string, approvalCode: string, more: object = {}): Promise<Answer> {
  const input = { gateId, proposedDecision: "approved", approvalCode, ...more };
  return await agent.refused("tidebase_resolve_gate", input);
}

test("a gate that asks for a code is not decided by a form", async () => {
  const { gateId } = await openGate(db, HIGH);
  human.fillsIn({ decision: "approved" });
  const input = { gateId, proposedDecision: "approved" };
  const error = await agent.refused("tidebase_resolve_gate", input);
  expect(error).toMatchObject({ outcome: "pendingHuman", required: "code", gateId });
  expect(human.forms).toEqual([]);
  expect(await gateOf(db, gateId)).toMatchObject({ status: "open" });
});

describe("a code decides nothing", () => {
  test("when it is wrong, and nothing at all after five tries", async () => {
    const { gateId } = await openGate(db, HIGH);
    const code = await codeFor(db, gateId);
    for (let tries = 0; tries < 5; tries++)
      expect(await redeem(gateId, "0000-0000")).toMatchObject({
        code: "gate_code_invalid",
        gateId,
      });
    expect(await redeem(gateId, code)).toMatchObject({ code: "gate_code_invalid" });
    expect(await gateOf(db, gateId)).toMatchObject({ status: "open" });
  });

  test("when it was made for the other decision", async () => {
    const { gateId } = await openGate(db, HIGH);
    const code = await codeFor(db, gateId, "rejected");
    expect(await redeem(gateId, code)).toMatchObject({ code: "gate_code_invalid" });
    expect(await gateOf(db, gateId)).toMatchObject({ status: "open" });
  });

  test("when it was made for another gate", async () => {
    const [one, other] = [await openGate(db, HIGH), await openGate(db, HIGH)];
    const code = await codeFor(db, other.gateId);
    expect(await redeem(one.gateId, code)).toMatchObject({ code: "gate_code_invalid" });
  });

  test("when it was used", async () => {
    const [one, other] = [await openGate(db, HIGH), await openGate(db, HIGH)];
    const approvalCode = await codeFor(db, one.gateId);
    const input = { gateId: one.gateId, proposedDecision: "approved", approvalCode };
    expect(await agent.call("tidebase_resolve_gate", input)).toMatchObject({ outcome: "approved" });
    expect(await redeem(other.gateId, approvalCode)).toMatchObject({ code: "gate_code_invalid" });
    expect(await agent.call("tidebase_resolve_gate", input)).toMatchObject({
      outcome: "approved",
      hints: [expect.stringContaining("before this call")],
    });
  });

  test("when its ten minutes are over", async () => {
    const { gateId } = await openGate(db, HIGH);
    const code = await codeFor(db, gateId);
    await db.advance("11 minutes");
    expect(await redeem(gateId, code)).toMatchObject({ code: "gate_code_invalid" });
  });

  test("when the question has changed since", async () => {
    const { gateId, ask } = await openGate(db, { ...HIGH, data: 1 });
    const code = await codeFor(db, gateId);
    await ask({ ...HIGH, data: 2 });
    expect(await redeem(gateId, code)).toMatchObject({ code: "gate_code_invalid" });
  });

  test("with an answer of the agent's: the code brings the human's along", async () => {
    const answerSchema = {
      type: "object",
      properties: { copies: { type: "integer", maximum: 3 } },
      required: ["copies"],
    };
    const { gateId } = await openGate(db, { ...HIGH, answerSchema });
    const [answer, note] = [{ copies: 2 }, "two will do"];
    const approvalCode = await codeFor(db, gateId, "approved", "ada", { answer, note });
    const input = { gateId, proposedDecision: "approved", approvalCode };
    for (const more of [{ answer: { copies: 3 } }, { note: "three" }])
      expect(await redeem(gateId, approvalCode, more)).toMatchObject({ code: "input_invalid" });
    const settled = await agent.call("tidebase_resolve_gate", input);
    expect(settled).toMatchObject({ outcome: "approved" });
    expect(settled.untrusted.data).toMatchObject({ answer: JSON.stringify(answer), note });
  });
});

test("a gate that asks for two people is approved by the second one's code", async () => {
  const { gateId } = await openGate(db, { ...HIGH, approvals: 2 });
  const input = { gateId, proposedDecision: "approved" };
  const first = { ...input, approvalCode: await codeFor(db, gateId) };
  expect(await agent.call("tidebase_resolve_gate", first)).toMatchObject({
    ...{ outcome: "voted", votes: 1, approvals: 2 },
    hints: [expect.stringContaining("Others")],
  });
  const again = { ...input, approvalCode: await codeFor(db, gateId) };
  expect(await agent.call("tidebase_resolve_gate", again)).toMatchObject({ votes: 1 });
  const second = { ...input, approvalCode: await codeFor(db, gateId, "approved", "bob") };
  expect(await agent.call("tidebase_resolve_gate", second)).toMatchObject({ outcome: "approved" });
});

test("a gate whose time is over is not approved", async () => {
  const { gateId } = await openGate(db, { ...HIGH, expiresInMs: 60_000 });
  const code = await codeFor(db, gateId);
  await db.advance("2 minutes");
  expect(await redeem(gateId, code)).toMatchObject({ code: "gate_expired" });
});

describe("with --read-only", () => {
  const reader = useAgent(env, { readOnly: true, answerForm: human.answerForm });

  test("gates are read, and nothing offers to resolve them", async () => {
    const { gateId, runId } = await openGate(db);
    const { gates } = await reader.call("tidebase_list_gates", { runId });
    expect(gates).toHaveLength(1);
    const { howToDecide } = await reader.call("tidebase_get_gate", { gateId });
    expect(howToDecide.map(({ by }: Answer) => by)).toEqual(["terminal"]);
    await reader.call("tidebase_wait_for_run", { runId, timeoutMs: 0 });
    const input = { gateId, proposedDecision: "approved" };
    expect(await reader.refused("tidebase_resolve_gate", input)).toMatchObject({
      code: "store_read_only",
    });
  });
});

describe("with TIDEBASE_GATE_FLOOR", () => {
  const strict = useAgent(() => ({ ...env(), TIDEBASE_GATE_FLOOR: "signed_in" }), {
    answerForm: human.answerForm,
  });

  test("every gate asks for at least that", async () => {
    const { gateId } = await openGate(db);
    const { gate } = await strict.call("tidebase_get_gate", { gateId });
    expect(gate.required).toBe("signed_in");
    const input = { gateId, proposedDecision: "approved" };
    expect(await strict.refused("tidebase_resolve_gate", input)).toMatchObject({
      outcome: "pendingHuman",
      required: "signed_in",
    });
    const approvalCode = await codeFor(db, gateId);
    const error = await strict.refused("tidebase_resolve_gate", { ...input, approvalCode });
    expect(error).toMatchObject({ code: "gate_assurance_too_low", required: "signed_in" });
  });
});

test.each([
  ["TIDEBASE_GATE_FLOOR", "none"],
  ["TIDEBASE_PUBLIC_URL", "https://me:canary@runs.example/base"],
])("a %s that is none is refused before anything is opened", async (name, value) => {
  const connection = connectLazily(() =>
    openConnection({
      env: { ...env(), [name]: value },
      ...{ cwd: "/", readOnly: false, allowWrites: false },
    }),
  );
  const error = toToolError(await connection.get().catch((thrown: unknown) => thrown));
  expect(error).toMatchObject({
    code: "variable_invalid",
    message: expect.stringContaining(name),
  });
  expect(JSON.stringify(error)).not.toContain("canary");
});
