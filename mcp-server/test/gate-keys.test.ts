import { serve } from "@hono/node-server";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { useDatabase } from "../../core/test/support/database.ts";
import { createApp } from "../../http-server/src/app.ts";
import { codeFor, gateOf, newHuman, openGate } from "./gate-support.ts";
import { type Answer, useAgent } from "./support.ts";

const db = useDatabase();
const server = serve({ fetch: createApp(db.core).fetch, hostname: "127.0.0.1", port: 0 });
afterAll(() => new Promise((resolve) => server.close(resolve)));

const keys: Record<string, string> = {};
beforeAll(async () => {
  for (const [name, scopes] of Object.entries({
    operator: ["read", "operate"],
    reader: ["read"],
    starter: ["enqueue"],
  }))
    keys[name] = String((await db.call("keys.create", { name, scopes }))["key"]);
});

function envOf(name: string): () => Record<string, string> {
  return () => {
    const address = server.address();
    const port = typeof address === "object" ? address?.port : undefined;
    return { TIDEBASE_URL: `http://127.0.0.1:${port}/`, TIDEBASE_API_KEY: keys[name] ?? "" };
  };
}

describe("next to a server that has keys", () => {
  const human = newHuman();
  const agent = useAgent(envOf("operator"), { answerForm: human.answerForm });
  const reader = useAgent(envOf("reader"), { answerForm: human.answerForm });
  const starter = useAgent(envOf("starter"), { toolsets: ["start"] });

  test("every gate asks for a code, and no form is shown", async () => {
    const { gateId } = await openGate(db, { risk: "low" });
    human.fillsIn({ decision: "approved" });
    const input = { gateId, proposedDecision: "approved" };
    const error = await agent.refused("tidebase_resolve_gate", input);
    expect(error).toMatchObject({ outcome: "pendingHuman", required: "code" });
    expect(error.ways.at(-1).url).toMatch(new RegExp(`^http://127.0.0.1:\\d+/gates/${gateId}$`));
    expect(human.forms).toEqual([]);
    const { hints = [] } = await agent.call("tidebase_overview");
    expect(hints.join()).not.toContain("advisory");
  });

  test("a code that a human tells decides, once", async () => {
    const { gateId } = await openGate(db);
    const input = { gateId, proposedDecision: "rejected" };
    const wrong = { ...input, approvalCode: "AAAA-AAAA" };
    const refused: Answer = await agent.refused("tidebase_resolve_gate", wrong);
    expect(refused).toMatchObject({ code: "gate_code_invalid" });
    const approvalCode = await codeFor(db, gateId, "rejected");
    const answer = await agent.call("tidebase_resolve_gate", { ...input, approvalCode });
    expect(answer).toMatchObject({ outcome: "rejected", via: "code", assurance: "code" });
  });

  test("a key that only reads brings no code, and shows the gate", async () => {
    const { gateId } = await openGate(db);
    const approvalCode = await codeFor(db, gateId);
    const input = { gateId, proposedDecision: "approved", approvalCode };
    const error = await reader.refused("tidebase_resolve_gate", input);
    expect(error).toMatchObject({ code: "scope_missing", scope: "operate" });
    expect(await gateOf(db, gateId)).toMatchObject({ status: "open" });
    expect(await reader.call("tidebase_get_gate", { gateId })).toMatchObject({ gate: { gateId } });
  });

  test("a key that only enqueues is told of its run, though it may not look at the queue", async () => {
    const answer = await starter.call("tidebase_enqueue_run", { workflow: "w", queue: "unseen" });
    expect(answer).toMatchObject({ status: "queued", outcome: "created" });
  });
});
