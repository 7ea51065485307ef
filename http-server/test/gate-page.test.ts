import { issueCode } from "@tidebase/core";
import { expect, test } from "vitest";
import { useDatabase } from "../../core/test/support/database.ts";
import { createApp } from "../src/index.ts";
import {
  ada,
  auditOf,
  browser,
  gateOf,
  hiddenOf,
  newLink,
  openGate,
  signedIn,
} from "./gate-support.ts";

const db = useDatabase();
const app = createApp(db.core);
const stranger = browser(app);

const REFUSED = "page/page gates.resolve scope_missing";

const schema = {
  type: "object",
  properties: {
    channel: { type: "string", enum: ["mail", "chat"], title: "Where to" },
    copies: { type: "integer", minimum: 1, maximum: 5 },
    share: { type: "number" },
    urgent: { type: "boolean", description: "Today?" },
    greeting: { type: "string", minLength: 2, maxLength: 40 },
  },
  required: ["channel", "copies", "urgent"],
};

test("without a session the page shows the question and no way to decide", async () => {
  const gate = await openGate(db, { data: { to: "all" }, risk: "critical", approvals: 2 });
  const answer = await stranger.get(gate.path);
  const text = await answer.text();
  expect(answer.status).toBe(200);
  for (const shown of ["Send the report?", "critical risk", "0 of 2", "&quot;to&quot;", gate.runId])
    expect(text).toContain(shown);
  expect(text).toContain(`tidebase gates open ${gate.gateId}`);
  expect(text).not.toContain("/decide");
  expect(text).not.toContain('name="csrf"');
});

test("a decision without a session, or with one that is unknown, is refused and in the audit trail", async () => {
  const gate = await openGate(db);
  const fields = { decision: "approved", digest: gate.digest, csrf: "x" };
  for (const cookie of ["", `tidebase_session=${"A".repeat(43)}`, "tidebase_session=%00"]) {
    const answer = await browser(app, cookie).post(`${gate.path}/decide`, fields);
    expect(answer.status).toBe(403);
    expect(await answer.text()).toContain("You are not signed in.");
  }
  expect((await stranger.post(`${gate.path}/code`, fields)).status).toBe(403);
  expect(await auditOf(db, gate.gateId)).toEqual([
    ...[REFUSED, REFUSED, REFUSED],
    "page/page gates.code scope_missing",
  ]);
  expect(await gateOf(db, gate.gateId)).toMatchObject({ status: "open" });
});

test("on a server that others can reach the question is there to read, and nothing else", async () => {
  const reachable = browser(createApp(db.core, { requireKey: true }));
  const gate = await openGate(db);
  expect((await reachable.get(gate.path)).status).toBe(200);
  const fields = { decision: "approved", digest: gate.digest };
  expect((await reachable.post(`${gate.path}/decide`, fields)).status).toBe(403);
});

test("no GET and no HEAD changes anything, whatever it carries", async () => {
  const gate = await openGate(db);
  const human = await signedIn(app, db);
  const { csrf, digest } = await hiddenOf(human, gate);
  const query = new URLSearchParams({
    decision: "approved",
    digest,
    csrf,
    link: await newLink(db),
  });
  const counted = async () => {
    const tables = ["audit", "events", "sessions", "gates", "gate_proofs", "gate_votes"];
    const counts = tables.map((name) => `(select count(*) from tidebase.${name}) as ${name}`);
    return (await db.pool.query(`select ${counts.join(", ")}`)).rows;
  };
  const before = await counted();
  for (const method of ["GET", "HEAD"])
    for (const path of [
      gate.path,
      `${gate.path}/decide`,
      `${gate.path}/redeem`,
      "/gates",
      "/gates/session",
    ]) {
      const answer = await app.request(`${path}?${query}`, {
        method,
        headers: { cookie: human.cookie },
      });
      expect(answer.status).toBeLessThan(500);
      expect(answer.headers.get("set-cookie")).toBeNull();
      if (method === "HEAD") expect(await answer.text()).toBe("");
    }
  expect(await counted()).toEqual(before);
  expect(await gateOf(db, gate.gateId)).toMatchObject({ status: "open" });
});

test("somebody signed in approves with a note, and the page shows the decision for ever", async () => {
  const gate = await openGate(db);
  const human = await signedIn(app, db);
  const hidden = await hiddenOf(human, gate);
  const answer = await human.post(`${gate.path}/decide`, {
    ...hidden,
    decision: "approved",
    note: "go",
  });
  expect([answer.status, answer.headers.get("location")]).toEqual([303, gate.path]);
  expect(await gateOf(db, gate.gateId)).toMatchObject({
    ...{ status: "approved", decidedBy: "ada", via: "page", assurance: "signed_in", note: "go" },
  });
  for (const reader of [human, stranger]) {
    const text = await (await reader.get(gate.path)).text();
    expect(text).toMatch(/Approved.*ada<\/bdi>, via page.*go/s);
    expect(text.slice(text.indexOf("<main>"))).not.toContain("<form");
  }
  const again = await human.post(`${gate.path}/decide`, { ...hidden, decision: "approved" });
  expect(again.status).toBe(303);
  const other = await human.post(`${gate.path}/decide`, { ...hidden, decision: "rejected" });
  expect(other.status).toBe(409);
  expect(await other.text()).toContain("not open any more");
});

test("a form without the session's own mark for this gate is refused and in the audit trail", async () => {
  const [gate, another] = [await openGate(db), await openGate(db)];
  const [human, second] = [await signedIn(app, db), await signedIn(app, db)];
  const { csrf, digest } = await hiddenOf(human, gate);
  const wrong = [
    undefined,
    "",
    `${csrf}x`,
    csrf.slice(1),
    "é".repeat(csrf.length),
    (await hiddenOf(human, another)).csrf,
    (await hiddenOf(second, gate)).csrf,
  ];
  for (const one of wrong) {
    const fields = { digest, decision: "approved", ...(one !== undefined && { csrf: one }) };
    const answer = await human.post(`${gate.path}/decide`, fields);
    expect(answer.status, String(one)).toBe(403);
    expect(await answer.text()).toContain("This form is not of your session.");
  }
  expect(await auditOf(db, gate.gateId)).toEqual(wrong.map(() => REFUSED));
  expect(await gateOf(db, gate.gateId)).toMatchObject({ status: "open" });
});

test.each([
  ["another site's page", { origin: "https://evil.example" }],
  ["a page without an origin", { origin: "null" }],
  ["another port of this machine", { origin: "http://localhost:1" }],
  ["another site, as the browser says", { "sec-fetch-site": "cross-site" }],
  ["a neighbour's site", { "sec-fetch-site": "same-site" }],
  ["a foreign host name", { host: "evil.example", origin: "http://evil.example" }],
])("a form sent by %s is refused, unseen, and in the audit trail", async (_, headers) => {
  const gate = await openGate(db);
  const human = await signedIn(app, db);
  const fields = { ...(await hiddenOf(human, gate)), decision: "approved" };
  const answer = await human.post(`${gate.path}/decide`, fields, headers);
  expect(answer.status).toBe(403);
  expect(await answer.text()).not.toContain("Send the report?");
  expect(await auditOf(db, gate.gateId)).toEqual([REFUSED]);
  expect(await gateOf(db, gate.gateId)).toMatchObject({ status: "open" });
});

test("a listed origin may call the API, and its pages still cannot decide", async () => {
  const listed = createApp(db.core, { allowedOrigins: ["https://studio.example"] });
  const gate = await openGate(db);
  const human = await signedIn(listed, db);
  const fields = { ...(await hiddenOf(human, gate)), decision: "approved" };
  const origin = "https://studio.example";
  expect((await human.post(`${gate.path}/decide`, fields, { origin })).status).toBe(403);
  expect(await gateOf(db, gate.gateId)).toMatchObject({ status: "open" });
});

test("a decision on a question that was changed meanwhile is refused, and the new one is shown", async () => {
  const gate = await openGate(db);
  const human = await signedIn(app, db);
  const hidden = await hiddenOf(human, gate);
  const digest = await gate.revise({ prompt: "Send it to everybody?", answerSchema: schema });
  const answer = await human.post(`${gate.path}/decide`, {
    ...hidden,
    decision: "approved",
    note: "old",
  });
  const text = await answer.text();
  expect(answer.status).toBe(409);
  expect(text).toContain("asks something else by now");
  expect(text).toContain("Send it to everybody?");
  expect(text).toContain(digest);
  expect(text).not.toContain("old</textarea>");
  expect((await human.post(`${gate.path}/code`, { ...hidden, decision: "approved" })).status).toBe(
    409,
  );
  expect(await gateOf(db, gate.gateId)).toMatchObject({ status: "open", revision: 2 });
});

test("the form offers what the schema asks for and fills nothing in", async () => {
  const gate = await openGate(db, { answerSchema: schema });
  const human = await signedIn(app, db);
  const text = await (await human.get(gate.path)).text();
  expect(text).toContain('<option value=""></option><option value="mail">mail</option>');
  expect(text).toContain('<option value=""></option><option value="yes">yes</option>');
  expect(text).toMatch(/name="answer.copies" value=""[^>]*min="1" max="5" required/);
  expect(text).not.toMatch(/selected|checked/);
});

test.each([
  ["nothing filled in", {}, ["channel", "copies", "urgent"]],
  ["a choice that is none", { channel: "fax" }, ["channel"]],
  ["a number that is none", { copies: "two" }, ["copies"]],
  ["a number in another notation", { copies: "0x2" }, ["copies"]],
  ["a number without end", { share: "1e999" }, ["share"]],
  ["half a piece", { copies: "1.5" }, ["copies"]],
  ["too many", { copies: "6" }, ["copies"]],
  ["neither yes nor no", { urgent: "maybe" }, ["urgent"]],
  ["a text that is too short", { greeting: "x" }, ["greeting"]],
  ["a field nobody asked for", { extra: "1" }, ["extra"]],
  ["a field of every object", { __proto__x: "1", constructor: "1" }, ["__proto__x"]],
])("an answer with %s is refused with what to correct", async (_, wrong, named) => {
  const gate = await openGate(db, { answerSchema: schema });
  const human = await signedIn(app, db);
  const good = named.length > 1 ? {} : { channel: "mail", copies: "2", urgent: "no" };
  const answers = Object.entries({ ...good, ...wrong }).map(([name, text]) => [
    `answer.${name}`,
    text,
  ]);
  const hidden = await hiddenOf(human, gate);
  const answer = await human.post(`${gate.path}/decide`, {
    ...{ ...hidden, decision: "approved", note: "kept" },
    ...(Object.fromEntries(answers) as Record<string, string>),
  });
  const text = await answer.text();
  expect([400, 422]).toContain(answer.status);
  for (const name of named) expect(text).toContain(`<li>${name}: `);
  expect(text).toContain("kept</textarea>");
  expect(await gateOf(db, gate.gateId)).toMatchObject({ status: "open" });
});

test("an answer is stored with its types, without what was left empty", async () => {
  const gate = await openGate(db, { answerSchema: schema });
  const human = await signedIn(app, db);
  const answer = await human.post(`${gate.path}/decide`, {
    ...(await hiddenOf(human, gate)),
    decision: "approved",
    "answer.channel": "chat",
    "answer.copies": "3",
    "answer.share": "",
    "answer.urgent": "no",
    "answer.greeting": "a\r\nb",
  });
  expect(answer.status).toBe(303);
  const expected = { channel: "chat", copies: 3, urgent: false, greeting: "a\nb" };
  expect((await gateOf(db, gate.gateId))["answer"]).toEqual(expected);
});

test("a rejection needs no answer", async () => {
  const gate = await openGate(db, { answerSchema: schema });
  const human = await signedIn(app, db);
  const fields = { ...(await hiddenOf(human, gate)), decision: "rejected", "answer.copies": "9" };
  expect((await human.post(`${gate.path}/decide`, fields)).status).toBe(303);
  expect(await gateOf(db, gate.gateId)).toMatchObject({ status: "rejected", answer: null });
});

test("a code is shown once, and works for its decision alone", async () => {
  const gate = await openGate(db, { risk: "high" });
  const human = await signedIn(app, db);
  const hidden = await hiddenOf(human, gate);
  const answer = await human.post(`${gate.path}/code`, { ...hidden, decision: "rejected" });
  const code =
    /<p class="code">([0-9A-Z]{4}-[0-9A-Z]{4})<\/p>/.exec(await answer.text())?.[1] ?? "";
  expect(answer.status).toBe(200);
  expect(code).not.toBe("");
  expect(await (await human.get(gate.path)).text()).not.toContain(code);
  const { digest } = gate;
  const redeem = (decision: string) =>
    db.call("gates.redeem", {
      gateId: gate.gateId,
      decision,
      digest,
      proof: { kind: "code", secret: code },
    });
  await expect(redeem("approved")).rejects.toMatchObject({ code: "gate_code_invalid" });
  await redeem("rejected");
  expect(await gateOf(db, gate.gateId)).toMatchObject({ status: "rejected", decidedBy: "ada" });
});

test("a code brings the answer and the note of who made it", async () => {
  const gate = await openGate(db, { answerSchema: schema });
  const human = await signedIn(app, db);
  const hidden = await hiddenOf(human, gate);
  const empty = await human.post(`${gate.path}/code`, { ...hidden, decision: "approved" });
  expect(empty.status).toBe(422);
  const answers = { "answer.channel": "mail", "answer.copies": "2", "answer.urgent": "yes" };
  const fields = { ...hidden, ...answers, decision: "approved", note: "Fine." };
  const text = await (await human.post(`${gate.path}/code`, fields)).text();
  const secret = /<p class="code">([^<]+)</.exec(text)?.[1];
  const { gateId, digest } = gate;
  const proof = { kind: "code", secret };
  await db.call("gates.redeem", { gateId, digest, decision: "approved", proof });
  expect(await gateOf(db, gateId)).toMatchObject({
    answer: { channel: "mail", copies: 2, urgent: true },
    note: "Fine.",
  });
});

test("a gate that asks for somebody signed in offers no code, and takes a decision of the page", async () => {
  const gate = await openGate(db, { risk: "critical" });
  const human = await signedIn(app, db);
  expect(await (await human.get(gate.path)).text()).not.toContain("Show a code");
  const fields = { ...(await hiddenOf(human, gate)), decision: "approved" };
  expect((await human.post(`${gate.path}/decide`, fields)).status).toBe(303);
});

test("of two approvals that are asked for, one human gives one", async () => {
  const gate = await openGate(db, { approvals: 2 });
  const [first, second] = [
    await signedIn(app, db),
    await signedIn(app, db, { ...ada, name: "bob" }),
  ];
  const vote = async (human: typeof first) =>
    human.post(`${gate.path}/decide`, { ...(await hiddenOf(human, gate)), decision: "approved" });
  expect((await vote(first)).status).toBe(303);
  expect((await vote(first)).status).toBe(303);
  expect(await (await first.get(gate.path)).text()).toContain("1 of 2");
  expect((await vote(second)).status).toBe(303);
  expect(await gateOf(db, gate.gateId)).toMatchObject({ status: "approved", votes: 2 });
});

test("whoever the gate does not name is told so", async () => {
  const gate = await openGate(db, { approvers: ["bob"] });
  const human = await signedIn(app, db);
  const fields = { ...(await hiddenOf(human, gate)), decision: "approved" };
  const answer = await human.post(`${gate.path}/decide`, fields);
  expect(answer.status).toBe(403);
  expect(await answer.text()).toContain("The gate names others to decide it.");
});

test("an expired gate cannot be decided, and a code of it is not shown", async () => {
  const gate = await openGate(db, { expiresInMs: 60_000 });
  const human = await signedIn(app, db);
  const hidden = await hiddenOf(human, gate);
  await db.advance("2 minutes");
  const answer = await human.post(`${gate.path}/decide`, { ...hidden, decision: "approved" });
  expect(answer.status).toBe(409);
  expect(await answer.text()).toContain("The gate&#39;s time is over.");
});

test("the page's own actor has no power beside the session's", async () => {
  const gate = await openGate(db);
  const page = { name: "page", scopes: [], via: "page" } as const;
  const input = { gateId: gate.gateId, decision: "approved" };
  await expect(db.core.execute(issueCode, input, page)).rejects.toMatchObject({
    code: "scope_missing",
  });
});
