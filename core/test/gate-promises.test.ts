import { randomUUID } from "node:crypto";
import { expect, test } from "vitest";
import { openDatabase } from "../src/database.ts";
import { startDispatcher } from "../src/deliveries/dispatcher.ts";
import { messageOf } from "../src/deliveries/message.ts";
import { claim } from "../src/deliveries/sql.ts";
import { type Core, LOCAL, openCore, SCOPES, toJson } from "../src/index.ts";
import { readAllowList, resolveName } from "../src/webhooks/address.ts";
import { ada, local, newGrant, operationNamed, signedIn, useDatabase } from "./support/database.ts";
import { answerWith, senderOf, useReceivers } from "./support/receiver.ts";

const db = useDatabase();
const open = useReceivers();
type Gate = { gateId: string; digest: string; status: string; [member: string]: unknown };

const TEXT = { type: "object", properties: { text: { type: "string" } } };

const decide = (gate: Gate, decision: string, more: object = {}, actor = signedIn("ada")) =>
  db
    .call("gates.resolve", { gateId: gate.gateId, digest: gate.digest, decision, ...more }, actor)
    .then((answer) => answer["gate"] as Gate);
const redeem = (gate: Gate, decision: string, kind: string, secret: string, actor = local) => {
  const { gateId, digest } = gate;
  return db
    .call("gates.redeem", { gateId, digest, decision, proof: { kind, secret } }, actor)
    .then((answer) => answer["gate"] as Gate);
};
const code = async (gate: Gate, decision: string, more: object = {}, actor = ada) =>
  String((await db.call("gates.code", { gateId: gate.gateId, decision, ...more }, actor))["code"]);
const refusal = (work: Promise<unknown>) =>
  work.then(
    (value) => `no refusal: ${JSON.stringify(value)?.slice(0, 80)}`,
    (error: { code?: string }) => error.code ?? String(error),
  );
const read = async ({ gateId }: Gate) => (await db.call("gates.get", { gateId }))["gate"] as Gate;
const runOf = async (runId: string) =>
  (await db.call("runs.get", { runId }))["run"] as { status: string; lastSeq: number };
const seqsOf = async (runId: string) => {
  const text = "select seq::int from tidebase.events where run_id = $1 order by seq";
  return (await db.pool.query(text, [runId.slice(4)])).rows.map(({ seq }) => seq as number);
};
/** A key that the store knows; without any the store is open, so the test ends with `forget`. */
async function keyed(name: string, scopes = SCOPES, lasts = "1 day") {
  const id = randomUUID();
  await db.pool.query(
    `insert into tidebase.api_keys (key_id, name, key_hash, scopes, created_at, expires_at)
     values ($1, $2, $3, $4, tidebase.now(), tidebase.now() + $5::interval)`,
    [id, name, id, scopes, lasts],
  );
  return { name, scopes, via: `key_${id}` };
}
const forget = () => db.pool.query("delete from tidebase.api_keys");
const on = async (core: Core, name: string, input: object, actor = local) =>
  JSON.parse(toJson(await core.execute(operationNamed(name), input, actor)));

test("a gate opened while its run completes is closed with it, and nobody decides it", async () => {
  const lease = await db.begun();
  const release = await db.hold(lease.runId);
  const opening = db.gate(lease);
  await db.blocked(1);
  const completing = db.complete(lease);
  await db.blocked(2);
  await release();
  const gate = (await opening) as Gate;
  await completing;
  expect((await runOf(lease.runId)).status).toBe("completed");
  expect.soft((await read(gate)).status).toBe("closed");
  expect(await refusal(decide(gate, "approved"))).toBe("gate_already_resolved");
});

test("the gate of a cancelled run is not decided", async () => {
  const lease = await db.begun();
  const gate = (await db.gate(lease)) as Gate;
  await db.cancel(lease.runId);
  expect(await refusal(decide(gate, "approved"))).not.toContain("no refusal");
});

test("a channel's code is for the question its message shows, not for one asked meanwhile", async () => {
  const database = openDatabase({ databaseUrl: db.url });
  const name = `chat-${randomUUID()}`;
  await db.pool.query(
    `insert into tidebase.webhooks (webhook_id, name, url, secret, events, every_run, invokes, decides, created_at)
     values ($1, $2, 'https://chat.example/', 'whsec_AAAA', '{gate.opened}', true, false, true, tidebase.now())`,
    [randomUUID(), name],
  );
  const lease = await db.begun();
  await db.gate(lease, { prompt: "Send the report to me?", risk: "high" });
  const [claimed] = await database.many(claim, {
    ...{ webhookIds: [], sending: [], each: 8, limit: 48 },
  });
  // the dispatcher has claimed; before it makes the codes the agent asks something else
  const evil = (await db.gate(lease, { prompt: "Delete everything?", risk: "high" })) as Gate;
  if (claimed === undefined) throw new Error("nothing claimed");
  const { data } = JSON.parse(await messageOf(database, claimed, undefined));
  await database.close();
  await db.pool.query("update tidebase.webhooks set disabled_at = now() where name = $1", [name]);
  if (data.gate.prompt === "Delete everything?") return; // shown what it is for
  expect(data.gate.prompt).toBe("Send the report to me?");
  const secret = data.decide?.approved?.code as string | undefined;
  if (secret === undefined) return; // no code is as good
  expect(await refusal(redeem(evil, "approved", "code", secret))).toBe("gate_code_invalid");
});

test("the code of a key that was revoked, or is over, decides nothing", async () => {
  const lease = await db.begun();
  const leaver = await keyed("leaver");
  const gate = (await db.gate(lease, { risk: "high" })) as Gate;
  const secret = await code(gate, "approved", {}, leaver);
  const revoke = "update tidebase.api_keys set revoked_at = tidebase.now() where name = 'leaver'";
  await db.pool.query(revoke);
  expect.soft(await refusal(redeem(gate, "approved", "code", secret))).toBe("gate_code_invalid");
  const temp = await keyed("temp", SCOPES, "1 minute");
  const next = (await db.gate(lease, { key: "2", risk: "high" })) as Gate;
  const late = await code(next, "approved", {}, temp);
  await db.advance("2 minutes");
  const outcome = await refusal(redeem(next, "approved", "code", late));
  await forget();
  expect(outcome).toBe("gate_code_invalid");
});

test("on an open server an agent does not make itself the key that approves", async () => {
  const gate = (await db.gate(await db.begun(), { risk: "critical" })) as Gate;
  const made = await db
    .call("keys.create", { name: "me", scopes: ["read", "approve"] }, LOCAL)
    .catch(() => undefined);
  if (made !== undefined) {
    const me = await db.core.authenticate(String(made["key"]));
    const outcome = await refusal(decide(gate, "approved", {}, me));
    await db.pool.query("delete from tidebase.api_keys");
    expect(outcome).not.toContain("no refusal");
  }
});

test("on an open server an agent does not make itself the channel that gets the codes", async () => {
  const receiver = await open(); // stands for any public https address of the agent's
  const sender = senderOf(db.url, { sweepEveryMs: 50 });
  const mine = { name: `mine-${randomUUID()}`, url: receiver.url, events: ["gate.opened"] };
  const webhook = await on(sender.core, "webhooks.create", { ...mine, decides: true }, LOCAL).catch(
    () => undefined,
  );
  const gate = (await db.gate(await db.begun(), { risk: "high" })) as Gate;
  let outcome = "refused";
  if (webhook !== undefined) {
    await expect
      .poll(() => receiver.received.some(({ text }) => text.includes(gate.gateId)), {
        timeout: 8000,
      })
      .toBe(true);
    const got = receiver.received.find(({ text }) => text.includes(gate.gateId));
    const { approved } = (got?.message.data["decide"] ?? {}) as { approved?: { code?: string } };
    outcome = await refusal(redeem(gate, "approved", "code", approved?.code ?? "none"));
    await sender.call("webhooks.update", { webhookId: webhook["webhookId"], disabled: true });
  }
  await sender.core.close();
  expect(outcome).not.toContain("no refusal");
});

test("a signal is not used up by a step that cannot take it", async () => {
  const lease = await db.begun();
  const step = { ...lease, name: "pay", contract: { replay: "never" } };
  await db.call("steps.begin", { items: [step] });
  const error = { name: "E", message: "no" };
  expect(await db.call("steps.fail", { items: [{ ...step, error, message: "no" }] })).toMatchObject(
    { results: [{ outcome: "failed" }] },
  );
  const { runId } = lease;
  await db.call("signals.send", { runId, name: "paid", payload: 1 });
  const take = (name: string) =>
    db.call("signals.take", { ...lease, name, key: "", signal: "paid" });
  expect.soft(await refusal(take("pay"))).not.toBe("run_too_long");
  expect(await take("wait")).toMatchObject({ outcome: "taken", output: { payload: 1 } });
});

test("the expired gates of one poisoned run keep nobody else's open", async () => {
  const bad = await db.begun();
  const good = await db.begun();
  await db.pool.query(
    `insert into tidebase.gates (gate_id, run_id, name, key, revision, digest, status, prompt, risk, required, approvals,
       expires_at, opened_at, opened_by)
     select gen_random_uuid(), $1, 'g', n::text, 1, 'd', 'open', '?', 'normal', 'client_form', 1,
       tidebase.now() - interval '1 hour', tidebase.now(), 'local' from generate_series(1, 200) n`,
    [bad.runId.slice(4)],
  );
  await db.pool.query(
    `insert into tidebase.quarantine values ('expired_gates', $1, $2, 5, 'poisoned', now())`,
    [bad.runId.slice(4), bad.epoch],
  );
  const gate = (await db.gate(good, { expiresInMs: 1000 })) as Gate;
  await db.advance("2 seconds");
  const core = openCore({ databaseUrl: db.url, sweepEveryMs: 10 });
  await expect
    .poll(async () => (await read(gate)).status, { timeout: 2000 })
    .toBe("expired")
    .finally(async () => {
      await core.close();
      await db.pool.query("delete from tidebase.gates where run_id = $1", [bad.runId.slice(4)]);
    });
});

test("many gates of one run expire in one round, and hold nobody up", async () => {
  const lease = await db.begun();
  const keys = Array.from({ length: 20 }, (_, n) => `${n}`);
  for (const key of keys) await db.gate(lease, { key, expiresInMs: 1000 });
  await db.advance("2 seconds");
  const core = openCore({ databaseUrl: db.url }); // as every server does: a round every 2 s
  const left = async () =>
    ((await db.call("gates.list", { runId: lease.runId })) as { gates: [] }).gates.length;
  await expect
    .poll(left, { timeout: 5000 })
    .toBe(0)
    .finally(() => core.close());
});

test("a code with another answer than the decision's is told of the winner", async () => {
  const answerSchema = {
    ...{ type: "object", required: ["limit"] },
    properties: { limit: { type: "integer" } },
  };
  const gate = (await db.gate(await db.begun(), { answerSchema })) as Gate;
  const secret = await code(gate, "approved", { answer: { limit: 1 } });
  await decide(gate, "approved", { answer: { limit: 9000 } });
  expect(await refusal(redeem(gate, "approved", "code", secret))).toBe("gate_already_resolved");
});

test("two approvals approve the same answer", async () => {
  const answerSchema = {
    ...{ type: "object", required: ["limit"] },
    properties: { limit: { type: "integer" } },
  };
  const gate = (await db.gate(await db.begun(), { answerSchema, approvals: 2 })) as Gate;
  await decide(gate, "approved", { answer: { limit: 1 } }, signedIn("careful"));
  const second = await decide(gate, "approved", { answer: { limit: 9000 } }, signedIn("mallory"))
    .then(({ status }) => status)
    .catch(() => "refused");
  expect(second).not.toBe("approved");
});

test("a vote below what the gate asks for by now does not count", async () => {
  const gate = (await db.gate(await db.begun(), { approvals: 2 })) as Gate;
  const { phrase } = await db.call("gates.form", { gateId: gate.gateId });
  await redeem(gate, "approved", "form", String(phrase)); // a script can
  const human = await keyed("a");
  expect(await read(gate)).toMatchObject({ required: "code" });
  const decided = await decide(gate, "approved", {}, human);
  await forget();
  expect(decided.status).toBe("open");
});

test("one human at a terminal and with a key is one voter", async () => {
  const gate = (await db.gate(await db.begun(), { approvals: 2 })) as Gate;
  await decide(gate, "approved", {}, ada);
  expect(await decide(gate, "approved", {}, signedIn("ada"))).toMatchObject({ status: "open" });
});

test("a timer beyond the years that can be told is refused, not kept", async () => {
  const lease = await db.begun();
  for (const [key, until] of [
    ["late", "9999-12-31T23:59:59-23:59"],
    ["early", "0001-01-01T00:00:00+23:59"],
  ]) {
    const set = refusal(db.call("timers.set", { ...lease, name: "sleep", key, until }));
    expect.soft(await set, key).toMatch(/^(input_invalid|input_refused|no refusal)/);
  }
  const timers = [{ name: "sleep", key: "late" }];
  await db.call("runs.suspend", { ...lease, waits: { timers } }).catch(() => {});
  expect.soft(await refusal(db.call("runs.get", { runId: lease.runId }))).toContain("no refusal");
  expect(await refusal(db.call("runs.verdict", { runId: lease.runId }))).toContain("no refusal");
});

test("what a gone webhook still had to get is dead, not pending for ever", async () => {
  const receiver = await open();
  receiver.answer = answerWith(410);
  const workflow = `w-${randomUUID()}`;
  const sender = senderOf(db.url, { sweeps: false });
  const { webhookId } = await sender.call("webhooks.create", {
    ...{ name: workflow, url: receiver.url, events: ["*"], workflows: [workflow] },
  });
  for (let n = 0; n < 3; n++) await sender.call("runs.create", { workflow });
  await db.pool.query(
    "update tidebase.deliveries set due_at = due_at + interval '1 hour' where delivery_id <> (select min(delivery_id::text)::uuid from tidebase.deliveries where webhook_id = $1) and webhook_id = $1",
    [String(webhookId).slice(8)],
  );
  const database = openDatabase({ databaseUrl: db.url });
  const dispatcher = startDispatcher(database, {
    ...{ allow: readAllowList(["127.0.0.1"]), resolve: resolveName, touched: () => {} },
  });
  dispatcher.nudge();
  const statuses = async () =>
    (
      await db.pool.query(
        "select status::text from tidebase.deliveries where webhook_id = $1 order by 1",
        [String(webhookId).slice(8)],
      )
    ).rows.map(({ status }) => status);
  await expect.poll(statuses).toContain("dead");
  await dispatcher.stop();
  await db.advance("25 hours");
  const core = openCore({ databaseUrl: db.url, sweepEveryMs: 20 });
  await expect.poll(statuses).toEqual(["dead", "dead", "dead"]);
  await core.close();
  const left = await statuses();
  await dispatcher.stop();
  await database.close();
  await sender.core.close();
  expect(left).toEqual(["dead", "dead", "dead"]);
});

test("a link lasts as long as its gate, also when the gate was given more time", async () => {
  const { issueForChannel } = await import("../src/gates/channel.ts");
  const database = openDatabase({ databaseUrl: db.url });
  const gate = (await db.gate(await db.begun(), { expiresInMs: 60_000, risk: "high" })) as Gate;
  const issued = await issueForChannel(database, {
    gateId: gate.gateId,
    digest: gate.digest,
    channel: await db.channel("mail"),
  });
  await database.close();
  await db.call("gates.extend", { gateId: gate.gateId, expiresInMs: 3_600_000 }, ada);
  await db.advance("5 minutes");
  const { token = "" } = issued?.approved ?? {};
  expect(await redeem(gate, "approved", "token", token)).toMatchObject({ status: "approved" });
});

test("a gate whose time is over is not asked anew, swept or not", async () => {
  const lease = await db.begun();
  await db.gate(lease, { expiresInMs: 1000 });
  await db.advance("2 seconds");
  expect(await refusal(db.gate(lease, { prompt: "Again?" }))).toBe("gate_mismatch");
});

test("a run that waits for a retry goes on when the step is reviewed", async () => {
  const lease = await db.begun();
  const { runId } = lease;
  const step = { ...lease, name: "charge", contract: { sideEffects: ["stripe"] } };
  await db.call("steps.begin", { items: [step] });
  const failed = { ...step, error: { name: "E", message: "no" }, message: "no" };
  await db.call("steps.fail", { items: [{ ...failed, retryInMs: 36_000_000 }] });
  const waits = { retries: [{ name: "charge", key: "" }] };
  expect(await db.call("runs.suspend", { ...lease, waits })).toMatchObject({ outcome: "waiting" });
  await db.call("steps.review", {
    ...{ runId, name: "charge", key: "", decision: "completed", output: 1 },
    ...{ reason: "seen at Stripe", dryRun: false },
  });
  expect((await runOf(runId)).status).toBe("pending");
});

test("two codes made at once by one human: the older is void", async () => {
  const gate = (await db.gate(await db.begun(), { risk: "high" })) as Gate;
  await code(gate, "approved");
  const client = await db.pool.connect();
  await client.query("begin");
  await client.query("select from tidebase.gate_proofs where gate_id = $1 for update", [
    gate.gateId.slice(5),
  ]);
  const both = [code(gate, "approved"), code(gate, "approved")];
  await db.blocked(2);
  await client.query("commit");
  client.release();
  await Promise.all(both);
  const { rowCount } = await db.pool.query(
    "select from tidebase.gate_proofs where gate_id = $1 and spent_at is null",
    [gate.gateId.slice(5)],
  );
  expect(rowCount).toBe(1);
});

test("starting a page session with a key or a link is in the audit trail", async () => {
  const count = async () =>
    Number((await db.pool.query("select count(*) from tidebase.audit")).rows[0].count);
  const before = await count();
  await db.core.sessions.startAs(signedIn("ada"));
  expect.soft(await count(), "startAs").toBeGreaterThan(before);
  const { token } = await db.call("sessions.link", {}, ada);
  const linked = await count();
  await db.core.sessions.start(String(token));
  expect.soft(await count(), "start").toBeGreaterThan(linked);
  await db.core.sessions.start("wrong");
  expect(await count(), "refused").toBeGreaterThan(linked + 1);
});

test("a decision is made however busy its run is", { timeout: 60_000 }, async () => {
  const lease = await db.begun();
  const gate = (await db.gate(lease)) as Gate;
  const cores = Array.from({ length: 5 }, () => openCore({ databaseUrl: db.url, sweeps: false }));
  let [busy, sent] = [true, 0];
  const writers = cores.flatMap((core) =>
    Array.from({ length: 10 }, async () => {
      while (busy) {
        await on(core, "signals.send", { runId: lease.runId, name: "tick" });
        sent += 1;
      }
    }),
  );
  await expect.poll(() => sent).toBeGreaterThan(100);
  const outcome = await refusal(decide(gate, "approved"));
  busy = false;
  await Promise.all(writers);
  await Promise.all(cores.map((core) => core.close()));
  expect(outcome).toContain("no refusal");
});

test("the right code behind five wrong ones, all in flight, is dead", async () => {
  const lease = await db.begun();
  const gate = (await db.gate(lease, { risk: "high" })) as Gate;
  const secret = await code(gate, "approved");
  const release = await db.hold(lease.runId);
  const wrong = [];
  for (const letter of "ABCDE") {
    wrong.push(refusal(redeem(gate, "approved", "code", `AAAA-AAA${letter}`)));
    await db.blocked(wrong.length);
  }
  const right = refusal(redeem(gate, "approved", "code", secret));
  await db.blocked(6);
  await release();
  expect(new Set(await Promise.all([...wrong, right]))).toEqual(new Set(["gate_code_invalid"]));
  expect((await read(gate)).status).toBe("open");
});

test("no gap, no duplicate: votes, signals, timers, suspends and codes at once", {
  timeout: 60_000,
}, async () => {
  const lease = await db.begun();
  const { runId } = lease;
  const gate = (await db.gate(lease, { approvals: 10, risk: "high" })) as Gate;
  const quiet = (work: Promise<unknown>) => refusal(work);
  const outcomes: string[] = [];
  const core = openCore({ databaseUrl: db.url, sweepEveryMs: 10 });
  await Promise.all(
    Array.from({ length: 60 }, async (_, n) => {
      const kind = n % 6;
      let work: Promise<unknown>;
      if (kind === 0) work = decide(gate, "approved", {}, signedIn(`v${n}`));
      else if (kind === 1) work = db.call("signals.send", { runId, name: "gate_,signal_,timer" });
      else if (kind === 2)
        work = db.call("gates.extend", { gateId: gate.gateId, expiresInMs: 3_600_000 }, ada);
      else if (kind === 3) work = redeem(gate, "approved", "code", "AAAA-AAAA");
      else if (kind === 4) work = code(gate, "approved");
      else work = db.call("runs.suspend", { ...lease, waits: { gates: [gate.gateId] } });
      outcomes.push(await quiet(work));
    }),
  );
  await core.close();
  const seqs = await seqsOf(runId);
  expect(seqs).toEqual(seqs.map((_, n) => n + 1));
  expect((await runOf(runId)).lastSeq).toBe(seqs.length);
  expect(outcomes.filter((one) => !/^(no refusal|gate_|lease_lost)/.test(one))).toEqual([]);
  expect((await read(gate)).status).toBe("approved");
});

test("a signal whose name looks like other waits wakes only who named it", async () => {
  const lease = await db.begun();
  const gate = (await db.gate(lease)) as Gate;
  const { runId } = lease;
  await db.call("runs.suspend", {
    ...lease,
    waits: { gates: [gate.gateId], signals: ['a",b{}\\'] },
  });
  for (const name of ["timer", gate.gateId, "a", '"a"', "b", "NULL", "{}"])
    await db.call("signals.send", { runId, name });
  expect((await runOf(runId)).status).toBe("waiting");
  await db.call("signals.send", { runId, name: 'a",b{}\\' });
  expect((await runOf(runId)).status).toBe("pending");
  const next = { runId, grantId: newGrant() };
  const { epoch } = await db.call("runs.begin", next);
  expect(
    await db.call("signals.take", {
      ...{ ...next, epoch, name: "w", key: "", signal: 'a",b{}\\' },
    }),
  ).toMatchObject({ outcome: "taken" });
});

test("whoever held the lease when the gate was opened does not decide it after another began the run", async () => {
  const worker = signedIn("worker", SCOPES); // a key with `work` and `approve`
  const helper = signedIn("helper", ["work", "read"]);
  const { runId } = await db.call("runs.create", { workflow: "w" }, worker);
  const grantId = newGrant();
  const { epoch } = await db.call("runs.begin", { runId, grantId }, worker);
  const question = { runId, epoch, grantId, name: "g", prompt: "?" };
  const gate = (await db.call("gates.open", question, helper))["gate"] as Gate;
  expect(await refusal(decide(gate, "approved", {}, worker))).toBe("gate_own_run");
  await db.call("runs.suspend", { runId, epoch, grantId, waits: { gates: [gate.gateId] } }, worker);
  await db.call("runs.begin", { runId, grantId: newGrant() }, helper);
  expect(await refusal(decide(gate, "approved", {}, worker))).toBe("gate_own_run");
});

test("a step of unknown outcome is not completed by a signal", async () => {
  const first = await db.begun();
  const { runId } = first;
  const step = { ...first, name: "charge", contract: { sideEffects: ["stripe"] } };
  await db.call("steps.begin", { items: [step] });
  const next = { runId, grantId: newGrant() };
  const { epoch } = await db.call("runs.begin", { ...next, goneEpoch: first.epoch });
  await db.call("signals.send", { runId, name: "go" });
  const taken = await refusal(
    db.call("signals.take", { ...next, epoch, name: "charge", key: "", signal: "go" }),
  );
  expect(taken).not.toContain("taken");
});

test("a page session does not prolong itself for ever", async () => {
  const { token } = await db.call("sessions.link", {}, ada);
  let session = await db.core.sessions.start(String(token));
  for (let hours = 0; hours < 48; hours += 11) {
    await db.advance("11 hours");
    const human = await db.core.sessions.find(session ?? "");
    if (human === undefined) return;
    const next = await db.call("sessions.link", {}, human).catch(() => ({ token: "none" }));
    session = await db.core.sessions.start(String(next["token"]));
  }
  expect(await db.core.sessions.find(session ?? ""), "signed in for two days").toBeUndefined();
});

test("the record does not say more than the weakest vote", async () => {
  const gate = (await db.gate(await db.begun(), { approvals: 2, risk: "high" })) as Gate;
  await decide(gate, "approved", {}, ada); // a terminal: `code`
  const decided = await decide(gate, "approved", {}, signedIn("bo"));
  expect(decided).toMatchObject({ status: "approved", assurance: "code" });
});

test("an imported store has the deliveries of the export, no more", async () => {
  const { exportStore } = await import("../src/transfer/export.ts");
  const { importStore } = await import("../src/transfer/import.ts");
  const { ask } = await import("./support/home.ts");
  const { inject } = await import("vitest");
  const name = `tidebase_test_${randomUUID().replaceAll("-", "")}`;
  await ask(inject("adminUrl"), `create database ${name} template ${inject("template")}`);
  const url = Object.assign(new URL(inject("adminUrl")), { pathname: name }).href;
  await db.pool.query(
    `insert into tidebase.webhooks (webhook_id, name, url, secret, events, every_run, invokes, decides, created_at)
     values (gen_random_uuid(), 'export', 'https://export.example/', 'whsec_AAAA', '{*}', true, true, true, tidebase.now())`,
  );
  await db.gate(await db.begun());
  let text = "";
  await exportStore({ databaseUrl: db.url }, async (part) => {
    text += part;
  });
  await db.pool.query("update tidebase.webhooks set disabled_at = now() where name = 'export'");
  async function* source() {
    yield new TextEncoder().encode(text);
  }
  const { tables } = await importStore({ databaseUrl: url }, source());
  const { default: pg } = await import("pg");
  const client = new pg.Client(url);
  await client.connect();
  const { rows } = await client.query("select count(*)::int as n from tidebase.deliveries");
  await client.end();
  await ask(inject("adminUrl"), `drop database ${name} with (force)`);
  expect(rows[0].n).toBe(tables["deliveries"]);
  expect(rows[0].n).toBeGreaterThan(0);
});

test("NUL, surrogates and deep answers come back as they were; notes that cannot are refused", async () => {
  const lease = await db.begun();
  const answer = { a: "\0 \ud800 \u2028", b: [-0.1, 1e300], constructor: { __proto__: null } };
  const gate = (await db.gate(lease, { data: answer, answerSchema: TEXT })) as Gate;
  expect(gate["data"]).toEqual(JSON.parse(JSON.stringify(answer)));
  expect(await refusal(decide(gate, "approved", { note: "\0" }))).toBe("input_invalid");
  const said = { text: answer.a };
  const decided = await decide(gate, "approved", { answer: said });
  expect(decided["answer"]).toEqual(said);
  expect(await decide(gate, "approved", { answer: said })).toEqual(decided);
  const deep = JSON.parse(`${"[".repeat(20_000)}${"]".repeat(20_000)}`);
  const next = (await db.gate(lease, { key: "2" })) as Gate;
  expect(await refusal(decide(next, "approved", { answer: deep }))).toMatch(
    /^(input_invalid|gate_answer_invalid)/,
  );
});

test("two branches that take the same signals at once get one each, in order", async () => {
  const lease = await db.begun();
  const { runId } = lease;
  for (const payload of [1, 2]) await db.call("signals.send", { runId, name: "s", payload });
  const take = (name: string) => db.call("signals.take", { ...lease, name, key: "", signal: "s" });
  const release = await db.hold(runId);
  const one = take("a");
  await db.blocked(1);
  const two = take("b");
  await db.blocked(2);
  await release();
  expect([await one, await two]).toMatchObject([
    { output: { payload: 1 } },
    { output: { payload: 2 } },
  ]);
});

test("one failure after many taken invitations does not silence a run for hours", async () => {
  const { judge } = await import("../src/deliveries/rules.ts");
  // taken nine times (202), a minute apart, then one restart of the receiver
  const { pauseMs } = judge(
    { error: "connection_refused" },
    { type: "run.invoke", attempts: 10 },
    { now: 0, random: 0.5 },
  );
  expect(pauseMs).toBeLessThanOrEqual(60_000);
});

test("recovering a run that is ready invites again, when its invitation was given up", async () => {
  const workflow = `w-${randomUUID()}`;
  await db.pool.query(
    `insert into tidebase.webhooks (webhook_id, name, url, secret, events, workflows, every_run, invokes, decides, created_at)
     values (gen_random_uuid(), $1, 'https://worker.example/', 'whsec_AAAA', '{}', array[$1], true, true, false, tidebase.now())`,
    [workflow],
  );
  const runId = String((await db.call("runs.create", { workflow }))["runId"]);
  const grantId = newGrant();
  const { epoch } = await db.call("runs.begin", { runId, grantId });
  await db.call("runs.release", { runId, epoch, grantId });
  const end = "update tidebase.deliveries set status = 'dead', ended_at = now() where run_id = $1";
  expect((await db.pool.query(end, [runId.slice(4)])).rowCount).toBe(1); // a day of failures
  await db.call("runs.recover", { runId, dryRun: false });
  const { rowCount } = await db.pool.query(
    "select from tidebase.deliveries where run_id = $1 and type = 'run.invoke' and status = 'pending'",
    [runId.slice(4)],
  );
  await db.pool.query("update tidebase.webhooks set disabled_at = now() where name = $1", [
    workflow,
  ]);
  expect(rowCount).toBe(1);
});

test("a decision that waited for the run's row until its gate was over is too late", async () => {
  const lease = await db.begun();
  const gate = (await db.gate(lease, { expiresInMs: 1000 })) as Gate;
  const release = await db.hold(lease.runId);
  const late = refusal(decide(gate, "approved"));
  await db.blocked(1);
  await db.advance("2 seconds");
  await release();
  expect(await late).toBe("gate_expired");
});

test("a code that waited for the run's row until it was over is too late", async () => {
  const lease = await db.begun();
  const gate = (await db.gate(lease, { risk: "high" })) as Gate;
  const secret = await code(gate, "approved");
  await db.pool.query(
    "update tidebase.gate_proofs set expires_at = tidebase.now() + interval '1 second' where gate_id = $1",
    [gate.gateId.slice(5)],
  );
  const release = await db.hold(lease.runId);
  const late = refusal(redeem(gate, "approved", "code", secret));
  await db.blocked(1);
  await db.advance("2 seconds");
  await release();
  expect(await late).toBe("gate_code_invalid");
});

test("a forged cursor is told as one", async () => {
  const lease = await db.begun();
  for (const key of ["1", "2"]) await db.gate(lease, { key });
  const page = await db.call("gates.list", { runId: lease.runId, limit: 1 });
  const [owner] = JSON.parse(Buffer.from(String(page["nextCursor"]), "base64url").toString());
  const forged = Buffer.from(JSON.stringify([owner, "yesterday-ish", "no uuid"]));
  const cursor = forged.toString("base64url");
  expect(await refusal(db.call("gates.list", { runId: lease.runId, limit: 1, cursor }))).toBe(
    "cursor_invalid",
  );
});

test("a lost answer of a vote by code is asked again and costs nobody a try", async () => {
  const gate = (await db.gate(await db.begun(), { approvals: 2, risk: "high" })) as Gate;
  const mine = await code(gate, "approved");
  await code(gate, "approved", {}, { ...ada, name: "bo" });
  await redeem(gate, "approved", "code", mine);
  await refusal(redeem(gate, "approved", "code", mine)); // the same request again
  const { rows } = await db.pool.query(
    "select max(tries)::int as tries from tidebase.gate_proofs where gate_id = $1",
    [gate.gateId.slice(5)],
  );
  expect(rows[0].tries).toBe(0);
});

test("suspend against decide, signal and timer at the lock: nobody waits for what has happened", {
  timeout: 60_000,
}, async () => {
  for (let n = 0; n < 6; n++) {
    const lease = await db.begun();
    const { runId } = lease;
    const gate = (await db.gate(lease)) as Gate;
    await db.call("timers.set", { ...lease, name: "t", ms: 3_600_000 });
    const waits = { gates: [gate.gateId], signals: ["s"], timers: [{ name: "t", key: "" }] };
    const suspend = () => db.call("runs.suspend", { ...lease, waits });
    const happen = () =>
      n % 2 === 0 ? decide(gate, "approved") : db.call("signals.send", { runId, name: "s" });
    const release = await db.hold(runId);
    const [first, second] = n < 3 ? [suspend, happen] : [happen, suspend];
    const one = first();
    await db.blocked(1);
    const two = second();
    await db.blocked(2);
    await release();
    await Promise.all([one, two]);
    expect(["pending", "running"]).toContain((await runOf(runId)).status);
    const seqs = await seqsOf(runId);
    expect(seqs).toEqual(seqs.map((_, at) => at + 1));
  }
});

test("a code is worth nothing once its maker has taken the run over", async () => {
  const agent = await keyed("agent");
  const lease = await db.begun();
  const gate = (await db.gate(lease, { risk: "high" })) as Gate;
  const secret = await code(gate, "approved", {}, agent);
  const { runId } = lease;
  await db.call("runs.begin", { runId, grantId: newGrant(), goneEpoch: 1 }, agent);
  const outcome = await refusal(redeem(gate, "approved", "code", secret));
  await forget();
  expect(outcome).toBe("gate_own_run");
});

test("a code that was replaced while it waited at the lock is void, with its answer", async () => {
  const answerSchema = {
    ...{ type: "object", required: ["limit"] },
    properties: { limit: { type: "integer" } },
  };
  const lease = await db.begun();
  const gate = (await db.gate(lease, { answerSchema, risk: "high" })) as Gate;
  const old = await code(gate, "approved", { answer: { limit: 9000 } });
  const release = await db.hold(lease.runId);
  const redeemed = refusal(redeem(gate, "approved", "code", old));
  await db.blocked(1);
  const fresh = await code(gate, "approved", { answer: { limit: 1 } }); // told that the older is void
  await release();
  expect.soft(await redeemed).toBe("gate_code_invalid");
  expect(await redeem(gate, "approved", "code", fresh)).toMatchObject({ answer: { limit: 1 } });
});

test("an answer that holds NUL or a lone surrogate never makes a gate undecidable", async () => {
  const lease = await db.begun();
  for (const [key, text] of Object.entries({ nul: "a\0b", lone: "\ud800" })) {
    const [answer, answerSchema] = [{ text }, TEXT];
    const gate = (await db.gate(lease, { key, approvals: 2, answerSchema })) as Gate;
    await decide(gate, "approved", { answer }, signedIn("one"));
    const second = refusal(decide(gate, "approved", { answer }, signedIn("two")));
    expect.soft(await second, key).toContain("no refusal");
    const single = (await db.gate(lease, {
      ...{ key: `${key} code`, risk: "high", answerSchema },
    })) as Gate;
    const secret = await code(single, "approved", { answer });
    await redeem(single, "approved", "code", secret);
    expect.soft(await refusal(redeem(single, "approved", "code", secret))).toContain("no refusal");
  }
});

test("three approvals are of three humans, whoever comes last", async () => {
  const gate = (await db.gate(await db.begun(), { approvals: 3 })) as Gate;
  await decide(gate, "approved", {}, ada);
  await decide(gate, "approved", {}, signedIn("ada"));
  expect(await decide(gate, "approved", {}, signedIn("bo"))).toMatchObject({ status: "open" });
});

test("a gate that was shown as closed does not expire later", async () => {
  const lease = await db.begun();
  const release = await db.hold(lease.runId);
  const opening = db.gate(lease, { expiresInMs: 60_000 });
  await db.blocked(1);
  const completing = db.complete(lease);
  await db.blocked(2);
  await release();
  const gate = (await opening) as Gate;
  await completing;
  const before = (await read(gate)).status;
  await db.advance("2 minutes");
  const other = (await db.gate(await db.begun(), { expiresInMs: 1000 })) as Gate;
  await db.advance("2 seconds");
  const core = openCore({ databaseUrl: db.url, sweepEveryMs: 10 });
  await expect.poll(async () => (await read(other)).status).toBe("expired"); // a round has been made
  await core.close();
  expect([before, (await read(gate)).status]).toEqual(["closed", "closed"]);
  expect((await seqsOf(lease.runId)).length).toBe(4); // created, begun, opened, completed
});

test("many gates of a suspended run expire together: one wake-up, no gap", async () => {
  const lease = await db.begun();
  const gates: string[] = [];
  for (let n = 0; n < 12; n++)
    gates.push((await db.gate(lease, { key: `${n}`, expiresInMs: 1000 })).gateId);
  await db.call("runs.suspend", { ...lease, waits: { gates } });
  await db.advance("2 seconds");
  const cores = [1, 2].map(() => openCore({ databaseUrl: db.url, sweepEveryMs: 10 }));
  const { runId } = lease;
  const left = async () => ((await db.call("gates.list", { runId })) as { gates: [] }).gates.length;
  await expect.poll(left, { timeout: 5000 }).toBe(0);
  await Promise.all(cores.map((core) => core.close()));
  const seqs = await seqsOf(runId);
  expect(seqs).toEqual(seqs.map((_, n) => n + 1));
  const text = "select from tidebase.events where run_id = $1 and type = 'run.woken'";
  expect((await db.pool.query(text, [runId.slice(4)])).rowCount).toBe(1);
});

test("the link of a channel that was switched off decides nothing", async () => {
  const { issueForChannel } = await import("../src/gates/channel.ts");
  const leaky = await db.channel("leaky");
  const database = openDatabase({ databaseUrl: db.url });
  const gate = (await db.gate(await db.begun(), { risk: "high" })) as Gate;
  const issued = await issueForChannel(database, {
    ...gate,
    channel: leaky,
  });
  await database.close();
  const off = "update tidebase.webhooks set disabled_at = now() where name = $1";
  await db.pool.query(off, [leaky.name]);
  const { token = "", code: secret = "" } = issued?.approved ?? {};
  expect.soft(await refusal(redeem(gate, "approved", "code", secret))).toBe("gate_code_invalid");
  expect(await refusal(redeem(gate, "approved", "token", token))).toBe("gate_code_invalid");
});

test("a vote that does not count keeps nobody from approving", async () => {
  const answerSchema = {
    ...{ type: "object", required: ["limit"] },
    properties: { limit: { type: "integer" } },
  };
  const gate = (await db.gate(await db.begun(), { approvals: 2, answerSchema })) as Gate;
  const { gateId, digest } = gate;
  const { phrase } = await db.call("gates.form", { gateId });
  const proof = { kind: "form", secret: phrase };
  const answer = { limit: 9000 };
  await db.call("gates.redeem", { gateId, digest, decision: "approved", answer, proof }); // a script
  const [one, two] = [await keyed("one"), await keyed("two")];
  const outcomes = [one, two].map((actor) =>
    refusal(decide(gate, "approved", { answer: { limit: 1 } }, actor)),
  );
  const all = await Promise.all(outcomes);
  await forget();
  expect(all.filter((outcome) => !outcome.startsWith("no refusal"))).toEqual([]);
  expect((await read(gate)).status).toBe("approved");
});

test("the documented view and the list of closed gates know a gate that its run's end closed", async () => {
  const lease = await db.begun();
  const release = await db.hold(lease.runId);
  const opening = db.gate(lease);
  await db.blocked(1);
  const completing = db.complete(lease);
  await db.blocked(2);
  await release();
  const { gateId } = await opening;
  await completing;
  const { rows } = await db.pool.query("select status from tidebase.gate_view where gate_id = $1", [
    gateId,
  ]);
  expect.soft(rows[0].status, "gate_view").toBe("closed");
  const { gates } = (await db.call("gates.list", { runId: lease.runId, status: "closed" })) as {
    gates: [];
  };
  expect.soft(gates.length, "gates.list").toBe(1);
  const extended = refusal(db.call("gates.extend", { gateId, expiresInMs: 60_000 }, ada));
  expect.soft(await extended, "gates.extend").toBe("gate_already_resolved");
  expect(await refusal(db.call("gates.code", { gateId, decision: "approved" }, ada))).toBe(
    "gate_already_resolved",
  );
});

test("a batch under contention locks first, in order, and every item keeps its answer", {
  timeout: 60_000,
}, async () => {
  const leases = await Promise.all(Array.from({ length: 4 }, () => db.begun()));
  const outcomes = await Promise.all(
    Array.from({ length: 40 }, (_, n) => {
      const order = n % 2 === 0 ? leases : [...leases].reverse();
      const items = order.map((lease) => ({
        ...{ ...lease, name: `s${n}`, error: { name: "E", message: "no" }, message: "no" },
        retryInMs: 10,
      }));
      return n % 3 === 0
        ? refusal(db.call("signals.send", { runId: leases[n % 4]?.runId, name: "x" }))
        : refusal(db.call("steps.fail", { items }));
    }),
  );
  expect(outcomes.filter((one) => !one.startsWith("no refusal"))).toEqual([]);
  for (const { runId } of leases) {
    const seqs = await seqsOf(runId);
    expect(seqs).toEqual(seqs.map((_, n) => n + 1));
  }
});
