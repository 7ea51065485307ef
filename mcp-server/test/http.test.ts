import { randomUUID } from "node:crypto";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { Server } from "@modelcontextprotocol/sdk/server/index.js";
import type { Transport } from "@modelcontextprotocol/sdk/shared/transport.js";
import { CallToolRequestSchema, ElicitRequestSchema } from "@modelcontextprotocol/sdk/types.js";
import { type Actor, openCore } from "@tidebase/core";
import { type RunningServer, type ServerOptions, startServer } from "@tidebase/server";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { useDatabase } from "../../core/test/support/database.ts";
import { send } from "../../http-server/test/support.ts";
import type { StoreInfo } from "../src/connection.ts";
import { type McpMountOptions, mountMcp } from "../src/http/mount.ts";
import { mountTools } from "../src/http/tools-mount.ts";
import { toolsFor } from "../src/tools/index.ts";
import { gateOf, newHuman, openGate } from "./gate-support.ts";
import { type Agent, agentOf } from "./support.ts";

const db = useDatabase();
const closers: (() => Promise<unknown>)[] = [];
const internal: unknown[] = [];
afterAll(async () => {
  await Promise.all(closers.map((close) => close()));
  expect(internal).toEqual([]); // no request is ever answered with 500
});

const STORE: StoreInfo = {
  ...{
    kind: "remote",
    foundBy: "TIDEBASE_DATABASE_URL",
    description: "a test",
    pageBase: undefined,
  },
  ...{ access: "read_write", accessReason: "A test.", passedOver: false },
};

/** The API and the tools on a port of their own. */
async function serveTools(
  more: Partial<Parameters<typeof mountTools>[0]> = {},
  server: Partial<ServerOptions> = {},
): Promise<RunningServer> {
  const tools = toolsFor({ readOnly: false });
  const core = server.core ?? db.core;
  const mount = mountTools({ core, store: STORE, tools, version: "0.0.0", ...more });
  return started({ core, mounts: [mount], ...server });
}

async function started(options: ServerOptions): Promise<RunningServer> {
  const server = await startServer({
    port: 0,
    onInternal: (_, error) => internal.push(error),
    ...options,
  });
  closers.push(() => server.close());
  return server;
}

/** A real client with this key. */
async function join(server: RunningServer, key?: string, client = newClient()): Promise<Agent> {
  const headers = key === undefined ? {} : { authorization: `Bearer ${key}` };
  const url = new URL(`${server.url}/mcp`);
  const transport = new StreamableHTTPClientTransport(url, { requestInit: { headers } });
  await client.connect(transport as Transport);
  closers.push(() => client.close());
  return agentOf(client);
}

function newClient(): Client {
  return new Client({ name: "test", version: "0.0.0" });
}

const INITIALIZE = {
  jsonrpc: "2.0",
  id: 0,
  method: "initialize",
  params: {
    protocolVersion: "2025-11-25",
    capabilities: {},
    clientInfo: { name: "test", version: "0.0.0" },
  },
};
const PING = { jsonrpc: "2.0", id: 1, method: "ping" };
const HEADERS = {
  "content-type": "application/json",
  accept: "application/json, text/event-stream",
};

/** A message as a client would post it, with other headers or another text where the test says so. */
function post(
  server: RunningServer,
  message: object | string,
  headers: Record<string, string> = {},
): ReturnType<typeof send> {
  const body = typeof message === "string" ? message : JSON.stringify(message);
  const sent = { method: "POST", headers: { ...HEADERS, ...headers }, body };
  return send(`${server.url}/mcp`, sent);
}

async function begin(server: RunningServer, headers: Record<string, string> = {}): Promise<string> {
  const answer = await post(server, INITIALIZE, headers);
  expect(answer.status, answer.text).toBe(200);
  return String(answer.headers["mcp-session-id"]);
}

const inSession = (id: string, more: object = {}): Record<string, string> => ({
  "mcp-session-id": id,
  ...more,
});

test("a second call with an id that is still being answered is refused, and the first is answered", async () => {
  const server = await serveTools();
  const session = inSession(await begin(server));
  const { runId } = await db.begun();
  const wait = { name: "tidebase_wait_for_run", arguments: { runId, timeoutMs: 20_000 } };
  const call = { jsonrpc: "2.0", id: 7, method: "tools/call", params: wait };
  const first = post(server, call, session);
  await vi.waitFor(async () => {
    const second = await post(server, { ...PING, id: 7 }, session);
    expect([second.status, second.text]).toEqual([400, expect.stringContaining("-32600")]);
  });
  await db.call("runs.cancel", { runId });
  expect((await first).text).toContain('"id":7');
  expect((await post(server, { ...PING, id: 7 }, session)).status).toBe(200);
});

describe("two clients whose ids collide", () => {
  const LANES = 20;
  /** Says who called and what they sent, some calls sooner than others. */
  function echoing(actor: Actor): ReturnType<McpMountOptions["serve"]> {
    const server = new Server({ name: "echo", version: "0" }, { capabilities: { tools: {} } });
    server.setRequestHandler(CallToolRequestSchema, async ({ params }) => {
      if (Number(params.arguments?.["n"]) % 3 === 0) await new Promise(setImmediate);
      const text = `${actor.name} ${params.name} ${String(params.arguments?.["n"])}`;
      return { content: [{ type: "text", text }] };
    });
    return {
      connect: (far) => server.connect(far),
      idle: async () => {},
      close: () => server.close(),
    };
  }

  test("each get their own answers to 500 calls, whatever order they come in", async () => {
    const mounts = [mountMcp({ serve: echoing })];
    const server = await started({ core: db.core, mounts });
    const sessions = [await begin(server), await begin(server)];
    const lanes = sessions.flatMap((session, who) =>
      Array.from({ length: LANES }, async (_, lane) => {
        for (let id = lane; id < 500; id += LANES) {
          const params = { name: `client-${who}`, arguments: { n: id } };
          const call = { jsonrpc: "2.0", id, method: "tools/call", params };
          const { text } = await post(server, call, inSession(session));
          const answer = JSON.parse(/^data: (.*)$/m.exec(text)?.[1] ?? "");
          const content = [{ type: "text", text: `local client-${who} ${id}` }];
          expect(answer).toEqual({ jsonrpc: "2.0", id, result: { content } });
        }
      }),
    );
    await Promise.all(lanes);
  });
});

describe("on a server that is open to this machine", () => {
  let server: RunningServer;
  let now = 0;
  const limits = { now: () => now, idleMs: 1000, sessionsMaxOfOne: 3, graceMs: 50 };
  beforeAll(async () => {
    server = await serveTools(limits);
  });

  test("a form is filled in by the human of the client, and decides", async () => {
    const human = newHuman();
    const client = new Client(
      { name: "test", version: "0.0.0" },
      { capabilities: { elicitation: { form: {} } } },
    );
    client.setRequestHandler(ElicitRequestSchema, ({ params }) =>
      human.answerForm(params as never),
    );
    const agent = await join(server, undefined, client);
    const { gateId } = await openGate(db);
    human.fillsIn({ decision: "approved" });
    const input = { gateId, proposedDecision: "approved" };
    const answer = await agent.call("tidebase_resolve_gate", input);
    expect(answer).toMatchObject({ outcome: "approved", via: "form" });
    expect(await gateOf(db, gateId)).toMatchObject({ status: "approved", via: "form" });
    expect(human.forms).toHaveLength(1);
    await client.close();
  });

  test("a session that nobody uses ends, one with an open stream does not", async () => {
    const [idle, listening] = [await begin(server), await begin(server)];
    const stream = new AbortController();
    const answer = await fetch(`${server.url}/mcp`, {
      headers: { accept: "text/event-stream", ...inSession(listening) },
      signal: stream.signal,
    });
    expect(answer.status).toBe(200);
    now += 999;
    expect(await post(server, PING, inSession(idle))).toMatchObject({ status: 200 });
    now += 999;
    expect(await post(server, PING, inSession(idle))).toMatchObject({ status: 200 });
    now += 1000;
    expect(await post(server, PING, inSession(idle))).toMatchObject({ status: 404 });
    expect(await post(server, PING, inSession(listening))).toMatchObject({ status: 200 });
    stream.abort();
    await vi.waitUntil(async () => {
      now += 1000;
      return (await post(server, PING, inSession(listening))).status === 404;
    });
  });

  test("the session idle for longest makes room, and none that is in use", async () => {
    now += 5000;
    const [first, second, third] = [await begin(server), await begin(server), await begin(server)];
    now += 1;
    await post(server, PING, inSession(first));
    const fourth = await begin(server);
    expect(await post(server, PING, inSession(second))).toMatchObject({ status: 404 });
    const stream = new AbortController();
    for (const id of [first, third, fourth])
      await fetch(`${server.url}/mcp`, {
        headers: { accept: "text/event-stream", ...inSession(id) },
        signal: stream.signal,
      });
    const refused = await post(server, INITIALIZE);
    expect(refused).toMatchObject({ status: 429 });
    expect(JSON.parse(refused.text).error.message).toContain("3 sessions are in use");
    stream.abort();
    await vi.waitUntil(async () => (await post(server, INITIALIZE)).status === 200);
    now += 5000;
  });

  test("an ended, a made-up and a missing session are told apart from a good one", async () => {
    const id = await begin(server);
    const url = `${server.url}/mcp`;
    expect((await send(url, { method: "DELETE", headers: inSession(id) })).status).toBe(200);
    for (const gone of [id, randomUUID()]) {
      const answer = await post(server, PING, inSession(gone));
      expect(answer.status).toBe(404);
      expect(JSON.parse(answer.text)).toMatchObject({ jsonrpc: "2.0", error: { code: -32001 } });
      expect((await send(url, { method: "DELETE", headers: inSession(gone) })).status).toBe(404);
      const headers = inSession(gone, { accept: "text/event-stream" });
      expect((await send(url, { headers })).status).toBe(404);
    }
    expect((await post(server, PING)).status).toBe(400);
  });

  test("what is no message of a client is refused with an error of the protocol", async () => {
    const id = await begin(server);
    const tooLong = { ...PING, params: { text: "x".repeat(10 * 1_048_576) } };
    const cases: [number, object | string, Record<string, string>?][] = [
      [400, "{"],
      [400, [PING]],
      [400, ""],
      [400, { ...PING, jsonrpc: "1.0" }],
      [400, "[".repeat(100_000)],
      [400, `{"a":${"[".repeat(100_000)}${"]".repeat(100_000)}}`],
      [400, PING, { "mcp-protocol-version": "1999-01-01" }],
      [400, INITIALIZE],
      [406, PING, { accept: "application/json" }],
      [413, tooLong],
      [415, JSON.stringify(PING), { "content-type": "text/plain" }],
      [403, PING, { host: "evil.example" }],
      [403, PING, { origin: "https://evil.example" }],
    ];
    for (const [status, message, headers] of cases) {
      const answer = await post(server, message, inSession(id, headers));
      const about = `${status} ${JSON.stringify(message).slice(0, 60)} ${answer.text.slice(0, 200)}`;
      expect(answer.status, about).toBe(status);
      const { jsonrpc, error } = JSON.parse(answer.text);
      expect({ jsonrpc, code: typeof error.code }, about).toEqual({
        jsonrpc: "2.0",
        code: "number",
      });
    }
    expect((await post(server, { ...INITIALIZE, params: {} })).status).toBe(400);
    for (const params of [{}, undefined]) {
      const nameless = { ...PING, method: "tools/call", params };
      expect((await post(server, nameless, inSession(id))).text).toContain('"code":-32602');
    }
    const methods = await Promise.all(
      ["PUT", "HEAD"].map((method) =>
        send(`${server.url}/mcp`, { method, headers: inSession(id) }),
      ),
    );
    expect(methods.map(({ status }) => status)).toEqual([405, 405]);
    expect((await post(server, PING, inSession(id))).status).toBe(200);
  });

  test("a call that is taken back gets no answer, and its stream ends", async () => {
    const session = inSession(await begin(server));
    const runId = await db.pending();
    const params = { name: "tidebase_wait_for_run", arguments: { runId, timeoutMs: 50_000 } };
    const call = { jsonrpc: "2.0", id: 7, method: "tools/call", params };
    const waiting = await fetch(`${server.url}/mcp`, {
      method: "POST",
      headers: { ...HEADERS, ...session },
      body: JSON.stringify(call),
    });
    const taken = { method: "notifications/cancelled", params: { requestId: 7 } };
    expect((await post(server, { jsonrpc: "2.0", ...taken }, session)).status).toBe(202);
    expect(await waiting.text()).toBe("");
  });

  test("when it stops, a call that waits is answered and every stream ends", async () => {
    const stopping = await serveTools({ graceMs: 50 });
    const agent = await join(stopping);
    const runId = await db.pending();
    const id = await begin(stopping);
    const headers = inSession(id, { accept: "text/event-stream" });
    const stream = await fetch(`${stopping.url}/mcp`, { headers });
    const waiting = agent.client
      .callTool({ name: "tidebase_wait_for_run", arguments: { runId, timeoutMs: 50_000 } })
      .catch((error: Error) => error);
    const short = { name: "tidebase_get_run", arguments: { runId } };
    expect((await agent.client.callTool(short)).isError).toBeUndefined(); // the long one has begun
    const since = performance.now();
    await stopping.close();
    expect(String(await waiting)).toContain("The server stops");
    expect(await stream.text()).toMatch(/^(?:: keepalive\n\n)*$/);
    expect(performance.now() - since).toBeLessThan(2000);
  });
});

describe("on a server that only reads", () => {
  test("nothing that writes is offered, and the store refuses it all the same", async () => {
    const core = openCore({ databaseUrl: db.url, readOnly: true });
    closers.push(() => core.close());
    const store: StoreInfo = { ...STORE, access: "read_only", accessReason: "Only reads." };
    const tools = toolsFor({ readOnly: true });
    const agent = await join(await serveTools({ store, tools }, { core }));
    const listed = await agent.client.listTools();
    expect(listed.tools.every(({ annotations }) => annotations?.readOnlyHint)).toBe(true);
    const runId = await db.pending();
    const input = { runId, reason: "test", dryRun: false };
    const all = await join(await serveTools({ store }, { core }));
    for (const caller of [agent, all])
      expect(await caller.refused("tidebase_cancel_run", input)).toMatchObject({
        code: "store_read_only",
      });
  });
});

/** Last: the first key closes the store. */
describe("on a server whose callers have keys", () => {
  const keys: Record<string, { key: string; keyId: string }> = {};
  let server: RunningServer;
  beforeAll(async () => {
    for (const [name, scopes] of Object.entries({
      operator: ["read", "operate", "approve"],
      reader: ["read"],
      leaver: ["read"],
    }))
      keys[name] = (await db.call("keys.create", { name, scopes })) as never;
    const core = openCore({ databaseUrl: db.url, sweeps: false }); // knows of no time without keys
    closers.push(() => core.close());
    server = await serveTools({}, { core });
  });
  const as = (name: string) => ({ authorization: `Bearer ${keys[name]?.key ?? ""}` });

  test("nobody without a key gets in, and the refusal says how to", async () => {
    expect((await post(server, INITIALIZE)).status).toBe(401);
    const answer = await post(server, INITIALIZE, { authorization: "Bearer tb_wrong" });
    expect(answer).toMatchObject({ status: 401, headers: { "www-authenticate": "Bearer" } });
    const { error } = JSON.parse(answer.text);
    expect(error.message).toContain("unknown, expired or revoked");
    expect(error.data).toMatchObject({ code: "key_invalid", requestId: expect.any(String) });
  });

  test("the session of another key does not exist, whatever is asked of it", async () => {
    const id = await begin(server, as("operator"));
    const foreign = inSession(id, as("reader"));
    const url = `${server.url}/mcp`;
    const listening = { ...foreign, accept: "text/event-stream" };
    expect((await post(server, PING, foreign)).status).toBe(404);
    expect((await send(url, { headers: listening })).status).toBe(404);
    expect((await send(url, { method: "DELETE", headers: foreign })).status).toBe(404);
    expect((await post(server, PING, inSession(id, as("operator")))).status).toBe(200);
  });

  test("a tool may what the key may, and acts as an agent, not as the key's human", async () => {
    const [operator, reader] = [
      await join(server, keys["operator"]?.key),
      await join(server, keys["reader"]?.key),
    ];
    const runId = await db.pending();
    const input = { runId, reason: "test", dryRun: false };
    const refused = await reader.refused("tidebase_cancel_run", input);
    expect(refused).toMatchObject({ code: "scope_missing", scope: "operate" });
    await operator.call("tidebase_cancel_run", input);
    const { entries } = await db.call("audit.list", {});
    expect((entries as object[]).slice(0, 3)).toMatchObject([
      { actor: "operator", via: "mcp", outcome: "done", target: runId },
      { actor: "operator", via: "mcp", outcome: "attempted" },
      { actor: "reader", via: "mcp", outcome: "scope_missing" },
    ]);
  });

  test("a revoked key is refused on its next request, and its open stream ends", async () => {
    /** Remembers no key, where a server does for two seconds. */
    const authenticate = async ({ headers }: Request): Promise<Actor> => {
      const core = openCore({ databaseUrl: db.url, sweeps: false });
      const bearer = headers.get("authorization")?.slice("Bearer ".length);
      return core.authenticate(bearer).finally(() => core.close());
    };
    const forgetful = await serveTools({ reviewMs: 50 }, { authenticate });
    const id = await begin(forgetful, as("leaver"));
    const sent = inSession(id, as("leaver"));
    const listening = { accept: "text/event-stream", ...sent };
    const stream = await fetch(`${forgetful.url}/mcp`, { headers: listening });
    await db.call("keys.revoke", { keyId: keys["leaver"]?.keyId ?? "" });
    expect((await post(forgetful, PING, sent)).status).toBe(401);
    expect((await post(forgetful, PING, inSession(id, as("operator")))).status).toBe(404);
    expect(await stream.text()).toBe("");
  });
});
