import { afterEach, expect, test } from "vitest";
import { useDatabase } from "../../core/test/support/database.ts";
import { codeFor, gateOf, newHuman, openGate, phraseIn } from "./gate-support.ts";
import { program, startAgent } from "./support.ts";

const db = useDatabase();
const running: { close(): Promise<void> }[] = [];
afterEach(async () => {
  for (const agent of running.splice(0)) await agent.close();
});

/** The program in a process, its client, and everything an agent could read of it. */
async function start(env: Record<string, string> = {}) {
  const human = newHuman();
  const store = { TIDEBASE_DATABASE_URL: db.url, DEBUG: "*", NODE_DEBUG: "*" };
  const agent = await startAgent({ ...store, ...env }, program(), human.answerForm);
  running.push(agent);
  const read: string[] = [];
  const formIds: (string | number)[] = [];
  const { transport } = agent.client;
  const pass = transport?.onmessage;
  if (transport === undefined || pass === undefined) throw new Error("Not connected.");
  transport.onmessage = (message, extra) => {
    if ("method" in message && "id" in message) formIds.push(message.id);
    else read.push(JSON.stringify(message));
    pass(message, extra);
  };
  const everything = (): string => `${read.join("\n")}\n${agent.stderr()}`;
  return { agent, human, transport, formIds, everything };
}

test("no phrase and no code is in anything that an agent reads of the program", async () => {
  const { agent, human, transport, formIds, everything } = await start();
  const secrets: string[] = [];
  const resolve = async (gateId: string, more: object = {}): Promise<void> => {
    const input = { gateId, proposedDecision: "approved", ...more };
    await agent.client.callTool({ name: "tidebase_resolve_gate", arguments: input });
  };
  const gates = await Promise.all(Array.from({ length: 6 }, () => openGate(db)));
  const [approved, wrong, empty, declined, failed, late] = gates.map(({ gateId }) => gateId);
  human.fillsIn({ decision: "approved" });
  await resolve(String(approved));
  human.fillsIn({ decision: "approved", phrase: "birch-no" });
  await resolve(String(wrong));
  human.will(() => ({ action: "accept", content: {} }));
  await resolve(String(empty));
  human.will(() => ({ action: "decline" }));
  await resolve(String(declined));
  human.will((form) => {
    throw new Error(`The phrase is ${phraseIn(form)}`);
  });
  await resolve(String(failed));

  const taken = new AbortController();
  human.will(() => {
    taken.abort();
    return new Promise(() => {}); // this client answers no more; what comes below comes too late
  });
  const params = { name: "tidebase_resolve_gate", arguments: { gateId: String(late) } };
  Object.assign(params.arguments, { proposedDecision: "approved" });
  await expect(
    agent.client.callTool(params, undefined, { signal: taken.signal }),
  ).rejects.toThrow();
  await expect.poll(everything).toContain("notifications/cancelled"); // the program has taken the form back
  const content = { decision: "approved", phrase: phraseIn(human.forms.at(-1) ?? expect.fail()) };
  const id = formIds.at(-1) ?? expect.fail("No form was asked for.");
  await transport.send({ jsonrpc: "2.0", id, result: { action: "accept", content } });
  await expect.poll(() => agent.stderr()).toContain("unknown message ID");

  const coded = await openGate(db, { risk: "high" });
  for (const decision of ["rejected", "approved"] as const) {
    const approvalCode = await codeFor(db, coded.gateId, decision);
    secrets.push(approvalCode, approvalCode.replace("-", ""));
    await resolve(coded.gateId, { approvalCode });
  }
  for (const { gateId, runId } of [...gates, coded]) {
    await agent.call("tidebase_get_gate", { gateId });
    await agent.call("tidebase_get_run", { runId, include: ["events"], detail: "detailed" });
    await agent.call("tidebase_list_events", { runId, payload: "full" });
  }
  secrets.push("birch-no", ...human.forms.map(phraseIn));
  expect(secrets).toHaveLength(11);
  const all = everything();
  for (const secret of secrets) {
    expect(secret.length).toBeGreaterThan(6);
    expect(all).not.toContain(secret);
  }
  expect(await gateOf(db, String(late))).toMatchObject({ status: "open" });
  expect(await gateOf(db, coded.gateId)).toMatchObject({ status: "approved" });
});

test("a client that executes the run is no courier of its question, by form or by code", async () => {
  const { gateId, runId } = await openGate(db);
  const { agent, human } = await start({ TIDEBASE_RUN_ID: runId });
  human.fillsIn({ decision: "approved" });
  const input = { gateId, proposedDecision: "approved" };
  const approvalCode = await codeFor(db, gateId);
  for (const more of [{}, { approvalCode }]) {
    const error = await agent.refused("tidebase_resolve_gate", { ...input, ...more });
    expect(error).toMatchObject({ code: "gate_own_run", gateId });
  }
  expect(human.forms).toEqual([]);
  const { howToDecide } = await agent.call("tidebase_get_gate", { gateId });
  expect(howToDecide.map(({ by }: { by: string }) => by)).toEqual(["terminal"]);
  const other = await openGate(db);
  const answer = await agent.call("tidebase_resolve_gate", { ...input, gateId: other.gateId });
  expect(answer).toMatchObject({ outcome: "approved" });
  expect(await gateOf(db, gateId)).toMatchObject({ status: "open" });
});
