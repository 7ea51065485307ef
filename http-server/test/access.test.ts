import { operations, SCOPES } from "@tidebase/core";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { useDatabase } from "../../core/test/support/database.ts";
import { createApp, openLog, type RunningServer, startServer } from "../src/index.ts";
import { json, poster, send, verdict } from "./support.ts";

const db = useDatabase();
const app = createApp(db.core);
const post = poster(app);
const keys = new Map<string, string>();
let server: RunningServer;

/** Whoever may reach an open server works with it, and neither decides nor makes what could. */
async function answersOpen(): Promise<void> {
  for (const { name, route, scope } of operations) {
    const [method = "", path = ""] = route.split(" ");
    const answer = await (method === "POST" ? post(path, { nothing: 1 }) : app.request(path));
    const refused = { status: 403, code: "scope_missing", scope };
    if (scope === "approve" || scope === "admin")
      expect(await json(answer), name).toMatchObject(refused);
    else expect(answer.status, name).not.toBe(403);
  }
}

/** A store without a key is open; the first key closes it. */
beforeAll(async () => {
  await expect(startServer({ core: db.core, port: 0, host: "0.0.0.0" })).rejects.toThrow("API key");
  expect((await app.request("/v1/overview")).status).toBe(200);
  await answersOpen();
  for (const scope of SCOPES) {
    const made = await db.call("keys.create", { name: scope, scopes: [scope] });
    keys.set(scope, String(made["key"]));
  }
  await vi.waitUntil(() => db.core.hasKeys(), { timeout: 5000 });
  server = await startServer({
    core: db.core,
    port: 0,
    host: "0.0.0.0",
    allowedHosts: ["tide.example"],
    allowedOrigins: ["https://studio.example"],
  });
});
afterAll(() => server.close());

const as = (scope: string) => ({ authorization: `Bearer ${keys.get(scope) ?? ""}` });

test("once a key is stored, callers without one are refused", async () => {
  await expect
    .poll(async () => verdict(app.request("/v1/overview")), { timeout: 5000 })
    .toEqual({ status: 401, code: "key_missing" });
  const answer = await app.request("/v1/overview");
  expect(answer.headers.get("www-authenticate")).toBe("Bearer");
});

test.each([
  "Bearer tb_wrong",
  "Basic dXNlcjpwYXNz",
  "Bearer",
  "Bearer  ",
  "tb_naked",
  "Bearer a b",
])("the header %j is no key", async (authorization) => {
  expect((await verdict(app.request("/v1/overview", { headers: { authorization } }))).status).toBe(
    401,
  );
});

test.each(operations.map((one) => [one.name, one] as const))(
  "%s answers its scope alone",
  async (_, { route, scope }) => {
    const [method = "", path = ""] = route.split(" ");
    for (const held of SCOPES) {
      const headers = { ...as(held), "content-type": "application/json" };
      const body = method === "POST" ? { body: '{"nothing":1}' } : {};
      const answer = await app.request(path, { method, headers, ...body });
      const refused = { status: 403, code: "scope_missing", scope };
      if (held === scope) expect(answer.status, held).not.toBe(403);
      else expect(await json(answer), held).toMatchObject(refused);
    }
  },
);

test("the event stream asks for read", async () => {
  const path = "/v1/runs/run_00000000-0000-7000-8000-000000000000/events/stream";
  expect((await app.request(path, { headers: as("work") })).status).toBe(403);
  expect((await app.request(path, { headers: as("read") })).status).toBe(404);
  expect((await app.request(path)).status).toBe(401);
});

test("who acted is the key's name, whatever the request says", async () => {
  const { runId } = await json(post("/v1/runs", { workflow: "w" }, as("enqueue")));
  const page = await json(app.request(`/v1/runs/${String(runId)}/events`, { headers: as("read") }));
  expect(page).toMatchObject({ events: [{ data: { actor: "enqueue" } }] });
});

test("a revoked key is refused within seconds", async () => {
  const made = await json(post("/v1/keys", { name: "short", scopes: ["read"] }, as("admin")));
  const headers = { authorization: `Bearer ${String(made["key"])}` };
  expect((await app.request("/v1/overview", { headers })).status).toBe(200);
  await post(`/v1/keys/${String(made["keyId"])}/revoke`, {}, as("admin"));
  await expect
    .poll(async () => (await app.request("/v1/overview", { headers })).status, { timeout: 5000 })
    .toBe(401);
});

test("what tells nothing asks for no key", async () => {
  for (const path of ["/", "/health", "/ready", "/openapi.json", "/v1/errors/internal"])
    expect((await app.request(path)).status, path).toBe(200);
  expect(await json(app.request("/ready"))).not.toHaveProperty("sweeps");
  expect(await json(app.request("/ready", { headers: as("read") }))).toHaveProperty("sweeps");
});

test.each([
  "localhost",
  "localhost:1234",
  "127.0.0.1:7373",
  "[::1]:7373",
  "LOCALHOST",
  "tide.example",
  "tide.example:8080",
])("the host %s is answered", async (host) => {
  expect((await send(`${server.url}/`, { headers: { host } })).status).toBe(200);
});

test.each([
  "evil.example",
  "localhost.evil.example",
  "127.0.0.1.evil.example",
  "127.0.0.2",
  "[::2]",
  "0.0.0.0",
  "sub.tide.example",
])("the host %s is refused", async (host) => {
  const { status, text } = await send(`${server.url}/v1/overview`, { headers: { host } });
  expect([status, JSON.parse(text)]).toMatchObject([403, { code: "host_refused" }]);
});

test("a probe by address is answered, and learns nothing but that the server lives", async () => {
  const { status, text } = await send(`${server.url}/health`, {
    headers: { host: "10.0.0.7:7373" },
  });
  expect([status, JSON.parse(text)]).toMatchObject([200, { healthy: true }]);
});

test.each([
  "https://evil.example",
  "http://localhost:3000",
  "null",
  "http://localhost.evil.example",
])("a page of %s is refused and learns nothing", async (origin) => {
  for (const method of ["GET", "POST", "OPTIONS"]) {
    const headers = {
      host: "localhost:7373",
      origin,
      ...as("read"),
      "access-control-request-method": "POST",
    };
    const answer = await send(`${server.url}/v1/runs`, { method, headers });
    expect([answer.status, JSON.parse(answer.text)], method).toMatchObject([
      403,
      { code: "origin_refused" },
    ]);
    expect(Object.keys(answer.headers).filter((name) => name.startsWith("access-control"))).toEqual(
      [],
    );
  }
});

test("a page of the server itself may call it, an allowed origin gets what its browser asks for", async () => {
  const own = { host: "localhost:7373", origin: "http://localhost:7373", ...as("read") };
  const mine = await send(`${server.url}/v1/overview`, { headers: own });
  expect([mine.status, mine.headers["access-control-allow-origin"]]).toEqual([200, undefined]);
  const origin = "https://studio.example";
  const preflight = await send(`${server.url}/v1/overview`, {
    method: "OPTIONS",
    headers: { host: "localhost", origin, "access-control-request-method": "GET" },
  });
  expect([preflight.status, preflight.headers["access-control-allow-origin"]]).toEqual([
    204,
    origin,
  ]);
  const asked = await send(`${server.url}/v1/overview`, {
    headers: { host: "localhost", origin, ...as("read") },
  });
  expect([asked.status, asked.headers["access-control-allow-origin"]]).toEqual([200, origin]);
});

test("OPTIONS without a page is a wrong method, and no answer speaks of CORS", async () => {
  const { status, headers } = await send(`${server.url}/v1/overview`, {
    method: "OPTIONS",
    headers: { host: "localhost" },
  });
  expect([status, headers["allow"]]).toEqual([405, "GET, HEAD"]);
});

test("the log names route, status and actor, and never a key, a query or a body", async () => {
  const lines: string[] = [];
  const log = openLog("debug", { write: (line: string) => void lines.push(line) });
  const logged = createApp(db.core, { log });
  await logged.request("/v1/runs?search=canary-query", { headers: as("read") });
  await poster(logged)("/v1/runs", { workflow: "canary-body" }, as("enqueue"));
  await poster(logged)("/v1/runs", "canary-broken", as("enqueue"));
  await logged.request("/v1/runs", { headers: { authorization: "Bearer canary-key" } });
  expect(lines.map((line) => JSON.parse(line))).toMatchObject([
    {
      level: 20,
      method: "GET",
      route: "/v1/runs",
      status: 200,
      actor: "read",
      ms: expect.any(Number),
    },
    { level: 20, method: "POST", status: 200, actor: "enqueue" },
    { level: 30, status: 400, code: "json_malformed" },
    { level: 40, status: 401, code: "key_invalid" },
  ]);
  for (const secret of ["canary", "tb_"]) expect(lines.join("")).not.toContain(secret);
});
