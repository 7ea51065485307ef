import { expect, test } from "vitest";
import { useDatabase } from "../../core/test/support/database.ts";
import { createApp } from "../src/index.ts";
import { browser, gateOf, hiddenOf, openGate, signedIn } from "./gate-support.ts";

const db = useDatabase();
const app = createApp(db.core);
const reader = browser(app);

const SCRIPT = `</pre></title></script><script>alert(1)</script><img src=x onerror=alert(1)> "'&`;
const HIDDEN = "a\u202eb\u200bc\u0007d\u{e0041}e\u2028f";

test("whatever others wrote is shown as text, with what cannot be seen spelled out", async () => {
  const gate = await openGate(db, {
    prompt: `${SCRIPT}${HIDDEN}`,
    data: { [SCRIPT]: [SCRIPT, HIDDEN] },
    capability: { name: SCRIPT, scopes: [SCRIPT], reason: HIDDEN },
    approvers: [SCRIPT, "ada"],
    answerSchema: {
      type: "object",
      properties: {
        f: {
          type: "string",
          title: SCRIPT,
          description: `${SCRIPT}${HIDDEN}`,
          enum: [SCRIPT, "b"],
        },
        g: { type: "string", title: HIDDEN },
      },
    },
  });
  const human = await signedIn(app, db);
  const sent = {
    ...(await hiddenOf(human, gate)),
    note: `</textarea>${SCRIPT}`,
    "answer.g": SCRIPT,
  };
  const refused = await human.post(`${gate.path}/decide`, {
    ...{ ...sent, decision: "approved", "answer.f": SCRIPT.slice(1) },
  });
  expect(refused.status).toBe(422);
  const decided = { ...sent, decision: "approved", "answer.f": SCRIPT };
  const inbox = await (await human.get("/gates")).text();
  expect((await human.post(`${gate.path}/decide`, decided)).status).toBe(303);
  const texts = [await refused.text(), inbox, await (await reader.get(gate.path)).text()];
  for (const text of texts) {
    expect(text).not.toContain("<img");
    expect(text).not.toContain("<script>");
    expect(text.match(/<\/script>/g)).toHaveLength(1);
    for (const hidden of HIDDEN.replace(/[a-f]/g, "")) expect(text).not.toContain(hidden);
    expect(text).toContain("\\u{202e}");
  }
});

test("a page loads nothing, stands in no frame, is kept nowhere and names its script each time anew", async () => {
  const gate = await openGate(db);
  const nonces = new Set<string>();
  for (const path of [gate.path, "/gates", "/gates/nothing"]) {
    const answer = await reader.get(path);
    const policy = answer.headers.get("content-security-policy") ?? "";
    const nonce = /script-src 'nonce-([^']+)'/.exec(policy)?.[1] ?? "";
    nonces.add(nonce);
    expect(policy).toBe(
      `default-src 'none'; style-src 'nonce-${nonce}'; script-src 'nonce-${nonce}'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'`,
    );
    expect(answer.headers.get("cache-control")).toBe("no-store");
    expect(answer.headers.get("referrer-policy")).toBe("same-origin");
    expect(answer.headers.get("x-content-type-options")).toBe("nosniff");
    expect(answer.headers.get("content-type")).toBe("text/html; charset=utf-8");
    const text = await answer.text();
    expect(text).not.toMatch(/ (?:style|on\w+)=|(?:src|href)="(?:https?:)?\/\//);
  }
  expect(nonces.size).toBe(3);
});

test("the page checks the host as the API does", async () => {
  const gate = await openGate(db);
  const headers = { host: "evil.example" };
  const answer = await app.request(gate.path, { headers });
  expect(answer.status).toBe(403);
  expect(await answer.text()).not.toContain("Send the report?");
});

test.each([
  "/gates/nothing",
  "/gates/gate_00000000-0000-7000-8000-000000000000",
  "/gates/%00",
  "/gates/%ff%2e",
  "/gates/gate_'--",
])("%s is no gate, for whoever reads or decides", async (path) => {
  const human = await signedIn(app, db);
  expect((await human.get(path)).status).toBe(404);
  for (const act of ["decide", "code", "redeem"]) {
    const { status } = await human.post(`${path}/${act}`, { decision: "approved", token: "x" });
    expect([403, 404]).toContain(status);
  }
});

test("a body that is no plain form is refused with its status", async () => {
  const gate = await openGate(db);
  const { cookie } = await signedIn(app, db);
  const send = async (type: string | undefined, body: string | Uint8Array) => {
    const headers = { cookie, ...(type !== undefined && { "content-type": type }) };
    const answer = await app.request(`${gate.path}/decide`, { method: "POST", headers, body });
    return answer.status;
  };
  const form = "application/x-www-form-urlencoded";
  expect(await send("application/json", "{}")).toBe(415);
  expect(await send("text/plain", "decision=approved")).toBe(415);
  expect(await send("multipart/form-data; boundary=x", "--x--")).toBe(415);
  expect(await send(undefined, new Uint8Array([97]))).toBe(415);
  expect(await send(`${form}; charset=utf-16`, "a=b")).toBe(415);
  expect(await send(`${form}; charset=UTF-8`, "a=b")).toBe(403);
  expect(await send(form, `note=${"x".repeat(262_145)}`)).toBe(413);
  expect(await send(form, "digest=a&digest=b")).toBe(400);
  expect(await send(form, Array.from({ length: 101 }, (_, n) => `f${n}=`).join("&"))).toBe(400);
  expect(await send(form, new Uint8Array([0xff, 0xfe]))).toBe(400);
  expect(await send(form, "")).toBe(403);
  expect(await gateOf(db, gate.gateId)).toMatchObject({ status: "open" });
});

test.each([
  ["no decision", {}],
  ["a decision that is none", { decision: "Approved" }],
  ["a note with a NUL", { decision: "approved", note: "a\0b" }],
  ["a note that is too long", { decision: "approved", note: "x".repeat(2001) }],
  ["a lone surrogate", { decision: "approved", note: "\ud800\0" }],
  ["a digest that is too long", { decision: "approved", digest: "v1:".padEnd(101, "0") }],
])("%s is the human's mistake, not the server's", async (_, fields) => {
  const gate = await openGate(db);
  const human = await signedIn(app, db);
  const hidden = await hiddenOf(human, gate);
  for (const act of ["decide", "code", "redeem"]) {
    const sent = { ...hidden, ...(fields as Record<string, string>) };
    const answer = await human.post(`${gate.path}/${act}`, sent);
    if (act === "code" && "note" in fields) continue;
    expect(answer.status, act).toBeGreaterThanOrEqual(400);
    expect(answer.status, act).toBeLessThan(500);
  }
  expect(await gateOf(db, gate.gateId)).toMatchObject({ status: "open" });
});

test("large and deep data is shown whole, and makes no page of many times its size", async () => {
  const deep = JSON.parse("[".repeat(1500) + "]".repeat(1500)) as unknown;
  for (const data of [deep, Array.from({ length: 60_000 }, (_, n) => `line ${n}`)]) {
    const gate = await openGate(db, { data });
    const text = await (await reader.get(gate.path)).text();
    const size = JSON.stringify(data).length;
    expect(text.length).toBeLessThan(3 * size + 50_000);
    if (data !== deep) expect(text).toContain("&quot;line 59999&quot;");
  }
});

test("a method the page does not have is refused with those it has", async () => {
  const gate = await openGate(db);
  const answer = await app.request(gate.path, { method: "POST" });
  expect([answer.status, answer.headers.get("allow")]).toEqual([405, "GET, HEAD"]);
  const act = await app.request(`${gate.path}/decide`);
  expect([act.status, act.headers.get("allow")]).toEqual([405, "POST"]);
});
