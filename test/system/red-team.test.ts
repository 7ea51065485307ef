import { fileURLToPath } from "node:url";
import { createKey, type Scope } from "@tidebase/core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ada, local, newGrant, useDatabase } from "../../core/test/support/database.ts";
import { type Agent, callTool, type FormAnswer, type Target } from "../support/red-team/agent.ts";
import { ATTEMPTS } from "../support/red-team/attempts.ts";
import { type ServerProcess, startServerProcess } from "../support/servers.ts";

const db = useDatabase();
const root = fileURLToPath(new URL("../../", import.meta.url));
const mcp = ["--import", "tsx", "--conditions=tidebase-source", "mcp-server/src/main.ts"];
const { DATABASE_URL: _d, TIDEBASE_DATABASE_URL: _t, ...inherited } = process.env;
let printed = "";
let server: ServerProcess;
let key = "";
let workerVia = "";

beforeAll(async () => {
  server = await startServerProcess(db.url, { TIDEBASE_LOG_LEVEL: "debug" });
  for (const stream of [server.child.stdout, server.child.stderr])
    stream?.on("data", (chunk) => {
      printed += String(chunk);
    });
  const scopes: Scope[] = ["read", "work", "enqueue", "operate"];
  const made = await db.core.execute(createKey, { name: "agent", scopes }, local);
  [key, workerVia] = [made.key, made.keyId];
});
afterAll(() => server.stop());

/** A run of the agent's, waiting for a gate that asks so. */
async function targetOf(question: object): Promise<Target> {
  const agent = { name: "agent", scopes: ["work", "enqueue"] as const, via: workerVia };
  const { runId } = (await db.call("runs.create", { workflow: "w" }, agent)) as { runId: string };
  const grantId = newGrant();
  const { epoch } = await db.call("runs.begin", { runId, grantId }, agent);
  const lease = { runId, epoch: Number(epoch), grantId };
  const opened = await db.call(
    "gates.open",
    { ...lease, name: "send", prompt: "Send the report?", ...question },
    agent,
  );
  const { gateId, digest } = opened["gate"] as { gateId: string; digest: string };
  return { gateId, digest, runId, lease };
}

async function agentOf(question: object): Promise<Agent> {
  const [target, other] = [await targetOf(question), await targetOf(question)];
  const http: Agent["http"] = async (path, { headers, ...init } = {}) => {
    const answer = await fetch(`${server.url}${path}`, {
      ...{ redirect: "manual", ...init },
      headers: { authorization: `Bearer ${key}`, ...(headers as Record<string, string>) },
    });
    return { status: answer.status, text: await answer.text() };
  };
  return {
    ...{ url: server.url, key, target, other, http, logs: () => printed },
    post: (path, body) =>
      http(path, {
        method: "POST",
        body: JSON.stringify(body),
        headers: { "content-type": "application/json" },
      }),
    tool(name, input, answer, more = {}) {
      const env = { ...inherited, TIDEBASE_URL: server.url, TIDEBASE_API_KEY: key, ...more };
      return callTool(
        { args: mcp, cwd: root, env: env as Record<string, string> },
        { name, input, answer },
        (text) => {
          printed += text;
        },
      );
    },
    human: {
      // Where a code would not do, none is made: this one is older than what its gate asks for.
      async code(gateId, decision) {
        const required = await asks(gateId, "code");
        const { code } = await db.call("gates.code", { gateId, decision }, ada);
        await asks(gateId, required);
        return String(code);
      },
      decide: async ({ gateId, digest }, decision) =>
        void (await db.call("gates.resolve", { gateId, digest, decision }, ada)),
      later: db.advance,
    },
  };
}

/** Has the gate ask for another assurance; what it asked for before. */
async function asks(gateId: string, required: string): Promise<string> {
  const text = `update tidebase.gates as gate set required = $2
    from (select required from tidebase.gates where gate_id = $1) as before
    where gate_id = $1 returning before.required`;
  const { rows } = await db.pool.query(text, [gateId.slice(5), required]);
  return rows[0].required;
}

const statusOf = async ({ gateId }: Target) =>
  (await db.pool.query("select status from tidebase.gates where gate_id = $1", [gateId.slice(5)]))
    .rows[0].status;
const audited = async () =>
  Number(
    (await db.pool.query("select count(*) from tidebase.audit where actor <> 'ada'")).rows[0].count,
  );

describe.each([
  ["code", { risk: "high" }],
  ["signed_in", { risk: "critical" }],
])("a gate that asks for %s", (_, question) => {
  test.each(ATTEMPTS)("is not approved by: $name", async ({ run }) => {
    const agent = await agentOf(question);
    const before = await audited();
    await run(agent);
    expect(await statusOf(agent.target)).toBe("open");
    expect(await statusOf(agent.other)).not.toBe("approved");
    expect(await audited(), "the attempt is in the audit trail").toBeGreaterThan(before);
  });
});

test("the red team has at least thirty ways", () => {
  expect(ATTEMPTS.length).toBeGreaterThanOrEqual(30);
  console.log(`${ATTEMPTS.length} ways, each against two kinds of gates`);
});

describe("a gate that a form may decide, on an open server", () => {
  const home = useDatabase();
  const answers: Record<string, FormAnswer> = {
    "accepts every form empty": () => ({ action: "accept", content: {} }),
    "accepts without a content": () => ({ action: "accept" }),
    "takes the first choice, and a default or nothing for the rest": ({ properties = {} }) => ({
      action: "accept",
      content: Object.fromEntries(
        Object.entries(properties).map(([name, field]) => [name, filledIn(field)]),
      ),
    }),
    "chooses to approve and leaves the phrase out": () => ({
      action: "accept",
      content: { decision: "approved" },
    }),
    "types a phrase of its own": () => ({
      action: "accept",
      content: { decision: "approved", phrase: "amber-4711" },
    }),
  };

  test.each(Object.keys(answers))("is not approved by a client that %s", async (name) => {
    const lease = await home.begun();
    const { gateId } = await home.gate(lease, { risk: "low" });
    const env = { ...inherited, TIDEBASE_DATABASE_URL: home.url } as Record<string, string>;
    const input = { gateId, proposedDecision: "approved" };
    const answer = answers[name];
    let asked = 0;
    const counting: FormAnswer = (requested) => {
      asked++;
      return answer?.(requested) ?? { action: "decline" };
    };
    await callTool(
      { args: mcp, cwd: root, env },
      { name: "tidebase_resolve_gate", input, answer: counting },
      () => {},
    );
    expect(asked).toBe(1);
    expect((await home.call("gates.get", { gateId }))["gate"]).toMatchObject({ status: "open" });
    const { entries } = (await home.call("audit.list", {})) as { entries: { target: string }[] };
    expect(entries.some(({ target }) => target === gateId)).toBe(true);
  });
});

/** What a form that is filled in without a human gets: the default, the first choice, or something of the type. */
function filledIn(field: object): string | number | boolean {
  const { type, enum: values, oneOf, default: preset } = field as Record<string, unknown>;
  if (preset !== undefined) return preset as string;
  if (Array.isArray(values)) return String(values[0]);
  if (Array.isArray(oneOf)) return String((oneOf[0] as { const: unknown }).const);
  return type === "boolean" ? true : type === "string" ? "" : 0;
}
