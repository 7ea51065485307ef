import { createKey } from "@tidebase/core";
import { expect, test } from "vitest";
import { local, useDatabase } from "../../core/test/support/database.ts";
import { createApp } from "../src/index.ts";
import {
  auditOf,
  browser,
  cookieOf,
  gateOf,
  hiddenOf,
  newLink,
  openGate,
  signedIn,
} from "./gate-support.ts";

const db = useDatabase();
const app = createApp(db.core);
const stranger = browser(app);

async function newKey(scopes: readonly string[]): Promise<string> {
  const { key } = await db.core.execute(createKey, { name: `key ${scopes.join()}`, scopes }, local);
  return key;
}

test("a one-time link starts one session, once, and leads on to its gate", async () => {
  const gate = await openGate(db);
  const link = await newLink(db);
  const fields = { link, gate: gate.gateId };
  const answer = await stranger.post("/gates/session", fields);
  expect([answer.status, answer.headers.get("location")]).toEqual([303, gate.path]);
  const human = browser(app, cookieOf(answer));
  expect(await (await human.get(gate.path)).text()).toContain("Signed in as ada");
  const again = await stranger.post("/gates/session", fields);
  expect(again.status).toBe(403);
  expect(again.headers.get("set-cookie")).toBeNull();
  expect(await again.text()).toContain("This link does not work, or not any more.");
  expect(await auditOf(db, gate.gateId)).toEqual(["page/page sessions.link scope_missing"]);
});

test("of a link sent twice at once, one starts a session", async () => {
  const link = await newLink(db);
  const answers = await Promise.all(
    Array.from({ length: 8 }, () => stranger.post("/gates/session", { link })),
  );
  expect(answers.filter(({ status }) => status === 303)).toHaveLength(1);
});

test("a whole link can be pasted", async () => {
  const link = `http://localhost/gates/gate_x#link=${await newLink(db)}`;
  expect((await stranger.post("/gates/session", { link })).status).toBe(303);
});

test("a link that nobody opened in ten minutes starts nothing", async () => {
  const link = await newLink(db);
  await db.advance("11 minutes");
  expect((await stranger.post("/gates/session", { link })).status).toBe(403);
});

test("a session ends after twelve hours", async () => {
  const human = await signedIn(app, db);
  await db.advance("13 hours");
  expect(await (await human.get("/gates")).text()).toContain("Sign in to decide");
});

test("signing out ends the session for every holder of its cookie, and the browser forgets it", async () => {
  const [gate, human] = [await openGate(db), await signedIn(app, db)];
  expect(await (await human.get("/gates")).text()).toContain("Sign out");
  const fields = { ...(await hiddenOf(human, gate)), decision: "approved" };
  for (const headers of [{ origin: "https://evil.example" }, { "sec-fetch-site": "same-site" }])
    expect((await human.post("/gates/session/end", {}, headers)).status).toBe(403);
  expect(await (await human.get("/gates")).text()).toContain("Signed in as ada");
  const answer = await human.post("/gates/session/end", {});
  expect([answer.status, answer.headers.get("location")]).toEqual([303, "/gates"]);
  expect(answer.headers.get("set-cookie")).toMatch(/^tidebase_session=; Max-Age=0; Path=\/gates;/);
  expect(await (await human.get("/gates")).text()).toContain("Sign in to decide");
  expect((await human.post(`${gate.path}/decide`, fields)).status).toBe(403);
  expect(await gateOf(db, gate.gateId)).toMatchObject({ status: "open" });
  expect((await human.post("/gates/session/end", {})).status).toBe(303);
});

test("the cookie is out of reach of scripts, other sites and other paths", async () => {
  const answer = await stranger.post("/gates/session", { link: await newLink(db) });
  const cookie = answer.headers.get("set-cookie") ?? "";
  expect(cookie).toMatch(/^tidebase_session=[\w-]{43}; /);
  for (const attribute of ["HttpOnly", "SameSite=Strict", "Path=/gates", "Max-Age=43200"])
    expect(cookie.split("; ")).toContain(attribute);
  expect(cookie).not.toContain("Secure");
});

test("over https the cookie is bound to the host, and a plain one is no session", async () => {
  const proxied = createApp(db.core, { publicUrl: "https://tide.example" });
  const there = { host: "tide.example", origin: "https://tide.example" };
  const link = await newLink(db);
  const answer = await browser(proxied).post("/gates/session", { link }, there);
  const cookie = answer.headers.get("set-cookie") ?? "";
  expect(cookie).toMatch(/^__Host-tidebase_session=/);
  for (const attribute of ["Secure", "HttpOnly", "SameSite=Strict", "Path=/"])
    expect(cookie.split("; ")).toContain(attribute);
  const inbox = async (sent: string) =>
    (await proxied.request("/gates", { headers: { host: there.host, cookie: sent } })).text();
  expect(await inbox(cookieOf(answer))).toContain("Signed in as ada");
  expect(await inbox(cookieOf(answer).replace("__Host-", ""))).not.toContain("Signed in as");
});

test("a key that may approve signs in; its name decides, and a revoked key's session is over", async () => {
  const gate = await openGate(db);
  const key = await newKey(["approve"]);
  const human = browser(app, cookieOf(await stranger.post("/gates/session", { key })));
  const fields = { ...(await hiddenOf(human, gate)), decision: "approved" };
  expect((await human.post(`${gate.path}/decide`, fields)).status).toBe(303);
  expect(await gateOf(db, gate.gateId)).toMatchObject({ decidedBy: "key approve", via: "page" });
  await db.pool.query("update tidebase.api_keys set revoked_at = now() where name = 'key approve'");
  expect(await (await human.get("/gates")).text()).not.toContain("Signed in as");
});

test("a session of the key that opened the gate cannot decide it", async () => {
  const key = await newKey(["work", "approve"]);
  const [lease, actor] = [await db.begun(), await db.core.authenticate(key)];
  const input = { ...lease, name: "own", prompt: "May I?" };
  const opener = createApp(db.core, { authenticate: () => actor });
  const opened = await opener.request(`/v1/runs/${lease.runId}/gates`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ ...input, runId: undefined }),
  });
  const { gate } = (await opened.json()) as { gate: { gateId: string; digest: string } };
  const human = browser(app, cookieOf(await stranger.post("/gates/session", { key })));
  const path = `/gates/${gate.gateId}`;
  const hidden = await hiddenOf(human, { ...gate, path } as never);
  const answer = await human.post(`${path}/decide`, { ...hidden, decision: "approved" });
  expect(answer.status).toBe(403);
  expect(await answer.text()).toContain("Whoever asks cannot answer.");
});

test("a key that may not approve, or is none, starts no session", async () => {
  const weak = await newKey(["read", "work", "operate"]);
  for (const [key, status] of [[weak, 403] as const, ["tb_wrong", 401] as const]) {
    const answer = await stranger.post("/gates/session", { key });
    expect(answer.status).toBe(status);
    expect(answer.headers.get("set-cookie")).toBeNull();
  }
});

test("nothing, or an open store's nobody, starts no session", async () => {
  for (const fields of [{}, { link: "" }, { key: " " }, { link: "\0" }])
    expect((await stranger.post("/gates/session", fields as Record<string, string>)).status).toBe(
      403,
    );
});

test.each([
  "https://evil.example",
  "//evil.example",
  "/\\evil.example",
  "gate_../../x",
  "javascript:alert(1)",
  "\r\nset-cookie: a=b",
])("the way on after signing in is a gate's page or the inbox, never %j", async (gate) => {
  const answer = await stranger.post("/gates/session", { link: await newLink(db), gate, to: gate });
  expect([answer.status, answer.headers.get("location")]).toEqual([303, "/gates"]);
});

function laterOnes(page: string): string {
  return /href="(\/gates\?cursor=[^"]+)"/.exec(page)?.[1]?.replaceAll("&amp;", "&") ?? "";
}

test("the inbox lists open gates to somebody signed in, oldest first and in pages", async () => {
  const prompts = Array.from({ length: 52 }, (_, n) => `Question number ${n}.`);
  for (const prompt of prompts) await openGate(db, { prompt });
  expect(await (await stranger.get("/gates")).text()).not.toContain("Question number");
  const human = await signedIn(app, db);
  const pages: string[] = [];
  for (let path = "/gates"; path !== ""; path = laterOnes(pages.at(-1) ?? ""))
    pages.push(await (await human.get(path)).text());
  const text = pages.join("");
  const places = prompts.map((prompt) => text.indexOf(prompt));
  expect(places).not.toContain(-1);
  expect(places).toEqual([...places].sort((a, b) => a - b));
  expect((await human.get("/gates?cursor=nonsense")).status).toBe(400);
});
