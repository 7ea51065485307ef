import { expect, test } from "vitest";
import { openCore, SCOPES, toJson } from "../src/index.ts";
import { ada, local, operationNamed, signedIn, useDatabase } from "./support/database.ts";

const db = useDatabase();
type Gate = { gateId: string; digest: string; status: string; [member: string]: unknown };

const decide = (
  gate: Gate,
  decision: "approved" | "rejected",
  more: object = {},
  actor = signedIn("ada"),
) =>
  db
    .call("gates.resolve", { gateId: gate.gateId, digest: gate.digest, decision, ...more }, actor)
    .then((answer) => answer["gate"] as Gate);
const code = async (gate: Gate, decision: string, actor = ada) =>
  String((await db.call("gates.code", { gateId: gate.gateId, decision }, actor))["code"]);
const redeem = (gate: Gate, decision: string, kind: string, secret: string, more: object = {}) =>
  db
    .call("gates.redeem", {
      ...{ gateId: gate.gateId, digest: gate.digest, decision, proof: { kind, secret } },
      ...more,
    })
    .then((answer) => answer["gate"] as Gate);
const refusal = (work: Promise<unknown>) =>
  work.then(
    () => "no refusal",
    (error: { code?: string }) => error.code ?? String(error),
  );
const types = async (runId: string) => {
  const { events } = (await db.call("events.list", { runId })) as { events: { type: string }[] };
  return events.map(({ type }) => type);
};

test("the same question finds its gate; other content is the next revision while it is open", async () => {
  const lease = await db.begun();
  const first = await db.gate(lease, { data: { to: "a" } });
  expect(await db.gate(lease, { data: { to: "a" } })).toEqual(first);
  const second = await db.gate(lease, { data: { to: "b" } });
  expect(second).toMatchObject({ gateId: first.gateId, revision: 2, data: { to: "b" } });
  expect(second.digest).not.toBe(first.digest);
  expect(await refusal(decide(first, "approved"))).toBe("gate_changed");
  expect(await types(lease.runId)).toEqual([
    ...["run.created", "run.begun", "gate.opened", "gate.opened"],
  ]);
});

test("every part of the question is in the digest", async () => {
  const lease = await db.begun();
  const parts: object[] = [
    {},
    { prompt: "Send it all?" },
    { data: 1 },
    { answerSchema: { type: "object", properties: { why: { type: "string" } } } },
    { capability: { name: "mail" } },
    { risk: "high" },
    { assurance: "code" },
    { approvers: ["ada"] },
    { approvals: 2 },
    { expiresInMs: 60_000 },
  ];
  const digests = new Set<string>();
  for (const [index, part] of parts.entries())
    digests.add((await db.gate(lease, { key: `${index}`, ...part })).digest);
  expect(digests.size).toBe(parts.length);
});

test("a decision stands: the same again is the same answer, another is refused with the winner", async () => {
  const lease = await db.begun();
  const properties = { a: { type: "integer" }, b: { type: "string" } };
  const question = { answerSchema: { type: "object", properties } };
  const gate = await db.gate(lease, question);
  const decided = await decide(gate, "approved", { note: "fine", answer: { a: 1, b: "2" } });
  expect(decided).toMatchObject({
    ...{ status: "approved", decidedBy: "ada", assurance: "signed_in", note: "fine" },
    answer: { a: 1, b: "2" },
  });
  expect(await decide(gate, "approved", { answer: { b: "2", a: 1 } }, signedIn("bo"))).toEqual(
    decided,
  );
  const winner = {
    code: "gate_already_resolved",
    data: { gateStatus: "approved", decidedBy: "ada" },
  };
  await expect(decide(gate, "rejected")).rejects.toMatchObject(winner);
  await expect(decide(gate, "approved", { answer: 2 })).rejects.toMatchObject(winner);
  expect(await db.gate(lease, question)).toEqual(decided);
  expect(await refusal(db.gate(lease, { data: "another" }))).toBe("gate_mismatch");
  const text = "update tidebase.gates set status = 'rejected' where gate_id = $1";
  await expect(db.pool.query(text, [gate.gateId.slice(5)])).rejects.toMatchObject({
    code: "TB002",
  });
});

test("who asks for how much: author, risk and floor, the highest", async () => {
  const lease = await db.begun();
  const required = async (more: object) =>
    ((await db.gate(lease, { key: JSON.stringify(more), ...more })) as unknown as Gate)["required"];
  expect(await required({})).toBe("client_form");
  expect(await required({ risk: "high" })).toBe("code");
  expect(await required({ risk: "critical", assurance: "client_form" })).toBe("signed_in");
  expect(await required({ risk: "low", assurance: "code" })).toBe("code");
  const { gateId } = await db.gate(lease);
  const core = openCore({
    databaseUrl: db.url,
    sweeps: false,
    limits: { gateFloor: "signed_in" },
  });
  const answer = await core.execute(operationNamed("gates.get"), { gateId }, local);
  expect(JSON.parse(toJson(answer))).toMatchObject({ gate: { required: "signed_in" } });
  const { phrase, digest } = await db.call("gates.form", { gateId });
  const proof = { kind: "form", secret: phrase };
  const late = { gateId, digest, decision: "approved", proof };
  expect(
    await refusal(core.execute(operationNamed("gates.redeem"), late, local)),
    "a form was enough when it was shown",
  ).toBe("gate_assurance_too_low");
  await core.close();
});

test("nobody decides by saying so: an open server's caller, a worker's key and a courier need a proof", async () => {
  const lease = await db.begun();
  const gate = await db.gate(lease);
  expect(await refusal(decide(gate, "approved", {}, local))).toBe("gate_needs_human");
  const cli = { name: "root", scopes: SCOPES, via: "cli" };
  expect(await refusal(decide(gate, "approved", {}, cli))).toBe("gate_needs_human");
  expect(await refusal(decide(gate, "approved", {}, signedIn("agent", ["work", "operate"])))).toBe(
    "scope_missing",
  );
  expect(await refusal(code(gate, "approved", local))).toBe("gate_needs_human");
  expect(await refusal(db.call("sessions.link", {}))).toBe("gate_needs_human");
  expect(await refusal(db.call("gates.extend", { gateId: gate.gateId, expiresInMs: 0 }))).toBe(
    "gate_needs_human",
  );
  expect((await db.call("gates.get", { gateId: gate.gateId }))["gate"]).toMatchObject({
    status: "open",
  });
});

test("a terminal is as sure as a code, and no surer", async () => {
  const lease = await db.begun();
  const critical = await db.gate(lease, { key: "1", risk: "critical" });
  expect(await refusal(decide(critical, "approved", {}, ada))).toBe("gate_assurance_too_low");
  expect(await refusal(code(critical, "approved")), "a code would not do").toBe(
    "gate_assurance_too_low",
  );
  const high = await db.gate(lease, { key: "2", risk: "high" });
  expect(await decide(high, "approved", {}, ada)).toMatchObject({ via: "tty", assurance: "code" });
});

test("a code works once, for its decision and its revision, for ten minutes, however it is typed", async () => {
  const lease = await db.begun();
  const gate = await db.gate(lease, { risk: "high" });
  const no = await code(gate, "rejected");
  expect(no).toMatch(/^[0-9A-HJKMNP-TV-Z]{4}-[0-9A-HJKMNP-TV-Z]{4}$/);
  expect(await refusal(redeem(gate, "approved", "code", no))).toBe("gate_code_invalid");
  const old = await code(gate, "approved");
  await db.advance("11 minutes");
  expect(await refusal(redeem(gate, "approved", "code", old))).toBe("gate_code_invalid");
  const voided = await code(gate, "approved");
  const fresh = await code(gate, "approved");
  expect(await refusal(redeem(gate, "approved", "code", voided))).toBe("gate_code_invalid");
  const other = await db.gate(lease, { key: "other", risk: "high" });
  expect(await refusal(redeem(other, "approved", "code", fresh))).toBe("gate_code_invalid");
  const changed = await db.gate(lease, { risk: "high", data: "changed" });
  expect(await refusal(redeem(gate, "approved", "code", fresh))).toBe("gate_changed");
  expect(await refusal(redeem(changed, "approved", "code", fresh))).toBe("gate_code_invalid");
  const good = await code(changed, "approved");
  const typed = good.toLowerCase().replace("-", " ").replaceAll("0", "o").replaceAll("1", "l");
  expect(await redeem(changed, "approved", "code", typed)).toMatchObject({
    ...{ status: "approved", via: "code", assurance: "code", decidedBy: "ada" },
  });
  expect(await redeem(changed, "approved", "code", typed)).toMatchObject({ status: "approved" });
});

test("five wrong codes end every code that is out, also when they come at once", async () => {
  const lease = await db.begun();
  const gate = await db.gate(lease, { risk: "high" });
  const [yes, no] = [await code(gate, "approved"), await code(gate, "rejected")];
  const wrong = Array.from({ length: 12 }, (_, n) => `AAAA-AAA${"ABCDEFGHJKMN"[n]}`);
  const release = await db.hold(lease.runId);
  const tries = wrong.map((secret) => refusal(redeem(gate, "approved", "code", secret)));
  const right = refusal(redeem(gate, "approved", "code", "ZZZZ-ZZZZ"));
  await db.blocked(10); // as many as the pool has connections
  await release();
  expect(new Set([...(await Promise.all(tries)), await right])).toEqual(
    new Set(["gate_code_invalid"]),
  );
  expect(await refusal(redeem(gate, "approved", "code", yes))).toBe("gate_code_invalid");
  expect(await refusal(redeem(gate, "rejected", "code", no))).toBe("gate_code_invalid");
  const { rows } = await db.pool.query("select max(tries)::int as tries from tidebase.gate_proofs");
  expect(rows[0].tries).toBeGreaterThanOrEqual(5);
  expect(await redeem(gate, "rejected", "code", await code(gate, "rejected"))).toMatchObject({
    status: "rejected",
  });
});

test("a code brings the answer of who made it; its courier adds nothing", async () => {
  const answerSchema = {
    type: "object",
    properties: { to: { type: "string", enum: ["all", "some"] } },
    required: ["to"],
  };
  const gate = await db.gate(await db.begun(), { answerSchema, risk: "high" });
  const make = (more: object) =>
    db.call("gates.code", { gateId: gate.gateId, decision: "approved", ...more }, ada);
  expect(await refusal(make({}))).toBe("gate_answer_invalid");
  const { code: secret } = await make({ answer: { to: "some" }, note: "not to all" });
  for (const more of [{ answer: { to: "all" } }, { note: "to all" }, { answer: { to: "some" } }])
    expect(await refusal(redeem(gate, "approved", "code", String(secret), more))).toBe(
      "gate_answer_invalid",
    );
  const decided = await redeem(gate, "approved", "code", String(secret));
  expect(decided).toMatchObject({ answer: { to: "some" }, note: "not to all" });
  expect(await redeem(gate, "approved", "code", String(secret))).toEqual(decided);
});

test("a form counts when its phrase was typed, for gates that ask for no more", async () => {
  const lease = await db.begun();
  const gate = await db.gate(lease);
  const { phrase } = (await db.call("gates.form", { gateId: gate.gateId })) as { phrase: string };
  for (const secret of ["approved", "amber-0000", " ", phrase.toUpperCase()])
    expect(await refusal(redeem(gate, "approved", "form", secret))).toBe("gate_code_invalid");
  expect(await redeem(gate, "approved", "form", phrase)).toMatchObject({
    ...{ status: "approved", via: "form", assurance: "client_form", decidedBy: "local" },
  });
  const high = await db.gate(lease, { key: "2", risk: "high" });
  expect(await refusal(db.call("gates.form", { gateId: high.gateId }))).toBe(
    "gate_assurance_too_low",
  );
  const expired = await db.gate(lease, { key: "3" });
  const { phrase: late } = (await db.call("gates.form", { gateId: expired.gateId })) as {
    phrase: string;
  };
  await db.advance("6 minutes");
  expect(await refusal(redeem(expired, "approved", "form", late))).toBe("gate_code_invalid");
});

test("whoever opened the gate or works on its run cannot decide it, nor make a code for it", async () => {
  const worker = signedIn("worker", SCOPES);
  const { runId } = await db.call("runs.create", { workflow: "w" }, worker);
  const grantId = `grant_${"0".repeat(8)}-0000-4000-8000-${"0".repeat(12)}`;
  const { epoch } = await db.call("runs.begin", { runId, grantId }, worker);
  const opener = signedIn("opener", SCOPES);
  const question = { name: "g", prompt: "?" };
  const opened = await db.call("gates.open", { runId, epoch, grantId, ...question }, opener);
  const gate = opened["gate"] as Gate;
  for (const actor of [worker, opener]) {
    expect(await refusal(decide(gate, "approved", {}, actor))).toBe("gate_own_run");
    expect(await refusal(code(gate, "approved", actor))).toBe("gate_own_run");
  }
  const session = { ...ada, via: "page", principal: worker.via };
  expect(await refusal(decide(gate, "approved", {}, session))).toBe("gate_own_run");
  expect(await decide(gate, "rejected")).toMatchObject({ status: "rejected" });
});

test("several approvals come from different people; one rejection decides", async () => {
  const lease = await db.begun();
  const gate = await db.gate(lease, { approvals: 3 });
  const [one, two, three] = [signedIn("one"), signedIn("two"), signedIn("three")];
  expect(await decide(gate, "approved", {}, one)).toMatchObject({ status: "open", votes: 1 });
  expect(await decide(gate, "approved", {}, one)).toMatchObject({ status: "open", votes: 1 });
  expect(await decide(gate, "approved", {}, two)).toMatchObject({ status: "open", votes: 2 });
  expect(await decide(gate, "approved", {}, three)).toMatchObject({ status: "approved", votes: 3 });
  const names = await types(lease.runId);
  expect(names.filter((type) => type.startsWith("gate."))).toEqual([
    ...["gate.opened", "gate.voted", "gate.voted", "gate.voted", "gate.resolved"],
  ]);
  const other = await db.gate(lease, { key: "2", approvals: 2 });
  await decide(other, "approved", {}, one);
  expect(await decide(other, "rejected", {}, two)).toMatchObject({ status: "rejected" });
  const changed = await db.gate(lease, { key: "3", approvals: 2 });
  await decide(changed, "approved", {}, one);
  const next = await db.gate(lease, { key: "3", approvals: 2, data: 1 });
  expect(await decide(next, "approved", {}, two), "a vote belongs to a revision").toMatchObject({
    ...{ status: "open", votes: 1 },
  });
});

test("without a key, a form and a terminal are one human", async () => {
  const lease = await db.begun();
  for (const first of ["form", "terminal"]) {
    const gate = await db.gate(lease, { key: first, approvals: 2 });
    const byForm = async () => {
      const { phrase } = await db.call("gates.form", { gateId: gate.gateId });
      return redeem(gate, "approved", "form", String(phrase));
    };
    const atTerminal = () => decide(gate, "approved", {}, ada);
    const [one, two] = first === "form" ? [byForm, atTerminal] : [atTerminal, byForm];
    expect(await one()).toMatchObject({ status: "open", votes: 1 });
    expect(await two()).toMatchObject({ status: "open", votes: 2 });
    expect(await decide(gate, "approved", {}, signedIn("bo"))).toMatchObject({
      status: "approved",
    });
  }
});

test("a gate that names its approvers is decided by one of them", async () => {
  const gate = await db.gate(await db.begun(), { approvers: ["bo", "cy"] });
  expect(await refusal(decide(gate, "approved"))).toBe("gate_not_approver");
  expect(await decide(gate, "approved", {}, signedIn("cy"))).toMatchObject({ decidedBy: "cy" });
});

test("an answer fits its form or is refused, and nothing is filled in", async () => {
  const answerSchema = {
    type: "object",
    properties: {
      to: { type: "string", enum: ["all", "some"] },
      limit: { type: "integer", minimum: 1, maximum: 9 },
      urgent: { type: "boolean" },
    },
    required: ["to", "urgent"],
  };
  const gate = await db.gate(await db.begun(), { answerSchema });
  const bad = [
    ...[undefined, {}, { to: "all" }, { to: "none", urgent: true }, "all", [], null],
    ...[
      { to: "all", urgent: "yes" },
      { to: "all", urgent: true, limit: 1.5 },
    ],
    ...[
      { to: "all", urgent: true, limit: 10 },
      { to: "all", urgent: true, more: 1 },
    ],
  ];
  for (const answer of bad)
    expect(await refusal(decide(gate, "approved", { answer })), JSON.stringify(answer)).toBe(
      "gate_answer_invalid",
    );
  const answer = { to: "all", urgent: false, limit: 9 };
  expect(await decide(gate, "approved", { answer })).toMatchObject({ status: "approved", answer });
  const bare = await db.gate(await db.begun());
  expect(await refusal(decide(bare, "approved", { answer: { a: 1 } })), "nothing was asked").toBe(
    "gate_answer_invalid",
  );
  const rejects = decide(await db.gate(await db.begun(), { answerSchema }), "rejected", { answer });
  expect(await refusal(rejects), "a rejection says why in a note").toBe("gate_answer_invalid");
  const hostile = { type: "object", properties: { a: { type: "string", pattern: "(a+)+$" } } };
  expect(await refusal(db.gate(await db.begun(), { answerSchema: hostile }))).toBe("input_invalid");
});

test("an expired gate is not approved, whoever comes late, and its run goes on", async () => {
  const lease = await db.begun();
  const gate = await db.gate(lease, { expiresInMs: 60_000 });
  await db.call("runs.suspend", { ...lease, waits: { gates: [gate.gateId] } });
  await db.advance("61 seconds");
  expect(await refusal(decide(gate, "approved"))).toBe("gate_expired");
  const core = openCore({ databaseUrl: db.url, sweepEveryMs: 20 });
  const status = async () =>
    ((await db.call("gates.get", { gateId: gate.gateId }))["gate"] as Gate).status;
  await expect.poll(status).toBe("expired");
  await core.close();
  expect(await db.call("runs.get", { runId: lease.runId })).toMatchObject({
    run: { status: "pending", attempts: 0 },
  });
  expect((await types(lease.runId)).slice(-2)).toEqual(["gate.expired", "run.woken"]);
  expect(await refusal(decide(gate, "approved"))).toBe("gate_already_resolved");
});

test("an approver gives a gate more time, or ends it", async () => {
  const lease = await db.begun();
  const gate = await db.gate(lease, { expiresInMs: 60_000 });
  await db.call("gates.extend", { gateId: gate.gateId, expiresInMs: 3_600_000 }, ada);
  await db.advance("30 minutes");
  expect(await decide(gate, "approved")).toMatchObject({ status: "approved" });
  const other = await db.gate(lease, { key: "2" });
  await db.call("gates.extend", { gateId: other.gateId, expiresInMs: 0 }, ada);
  expect(await refusal(decide(other, "approved"))).toBe("gate_expired");
});

test("a run's end closes its open gates, and nobody decides them any more", async () => {
  const lease = await db.begun();
  const gate = await db.gate(lease);
  await db.complete(lease);
  await expect(decide(gate, "approved")).rejects.toMatchObject({
    ...{ code: "gate_already_resolved", data: { gateStatus: "closed" } },
  });
});

test("deciding, expiring and every refusal of it are in the audit trail", async () => {
  const lease = await db.begun();
  const gate = await db.gate(lease, { risk: "high" });
  await refusal(redeem(gate, "approved", "code", "AAAA-AAAA"));
  await refusal(decide(gate, "approved", {}, signedIn("agent", ["work"])));
  await decide(gate, "approved");
  const { entries } = (await db.call("audit.list", { limit: 100 })) as {
    entries: { operation: string; outcome: string; target: string | null; actor: string }[];
  };
  const mine = entries
    .filter(({ target }) => target === gate.gateId)
    .map((e) => [e.actor, e.outcome]);
  expect(mine.reverse()).toEqual([
    ["local", "attempted"],
    ["local", "gate_code_invalid"],
    ["agent", "scope_missing"],
    ["ada", "attempted"],
    ["ada", "done"],
  ]);
});

test("the inbox lists open gates oldest first, a page at a time", async () => {
  const lease = await db.begun();
  const keys = ["a", "b", "c"];
  for (const key of keys) await db.gate(lease, { key });
  const { runId } = lease;
  const first = await db.call("gates.list", { runId, limit: 2 });
  const next = await db.call("gates.list", { runId, limit: 2, cursor: first["nextCursor"] });
  const listed = [...(first["gates"] as Gate[]), ...(next["gates"] as Gate[])];
  expect(listed.map(({ key }) => key)).toEqual(keys);
  expect(next["nextCursor"]).toBeNull();
  const named = await db.call("gates.list", { runId, name: "send", key: "b", status: "any" });
  expect((named["gates"] as Gate[]).map(({ key }) => key)).toEqual(["b"]);
});

test("no secret of a gate is stored as it is, or in any answer to who asks", async () => {
  const lease = await db.begun();
  const gate = await db.gate(lease, { risk: "high" });
  const secret = await code(gate, "approved");
  const { token } = (await db.call("sessions.link", {}, ada)) as { token: string };
  const tables = ["gates", "gate_proofs", "gate_votes", "sessions", "events", "audit", "runs"];
  const stored = await Promise.all(
    tables.map(
      async (table) => (await db.pool.query(`select t::text from tidebase.${table} t`)).rows,
    ),
  );
  const answers = await Promise.all([
    db.call("gates.get", { gateId: gate.gateId }),
    db.call("gates.list", {}),
    db.call("events.list", { runId: lease.runId }),
    db.call("audit.list", {}),
  ]);
  const all = JSON.stringify([stored, answers]);
  for (const text of [secret, secret.replace("-", ""), token]) expect(all).not.toContain(text);
});
