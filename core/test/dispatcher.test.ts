import { randomUUID } from "node:crypto";
import { Webhook } from "standardwebhooks";
import { afterAll, afterEach, expect, test } from "vitest";
import { type Database, openDatabase } from "../src/database.ts";
import { type Dispatcher, startDispatcher } from "../src/deliveries/dispatcher.ts";
import { claim, dueDeliveries as due } from "../src/deliveries/sql.ts";
import { startPulse } from "../src/pulse.ts";

import { readAllowList, resolveName } from "../src/webhooks/address.ts";
import { completing, newGrant, useDatabase } from "./support/database.ts";
import { answerWith, type Receiver, senderOf, useReceivers } from "./support/receiver.ts";

const db = useDatabase();
const open = useReceivers();
const { core, call } = senderOf(db.url, { sweeps: false });
const database: Database = openDatabase({ databaseUrl: db.url });
afterAll(async () => {
  await Promise.all([core.close(), database.close()]);
});

const senders: Dispatcher[] = [];
afterEach(async () => {
  await Promise.all(senders.splice(0).map((sender) => sender.stop()));
});

/** Polls for as long as a busy machine may need. */
const soon = <T>(see: () => T, options: { timeout?: number; interval?: number } = {}) =>
  expect.poll(see, { timeout: 10_000, ...options });

/** Another process that sends; it ends with the test. */
function dispatcher(resolve = resolveName): Dispatcher {
  const sender = startDispatcher(database, {
    allow: readAllowList(["127.0.0.1"]),
    resolve,
    touched: () => {},
  });
  const pulse = startPulse(database, {
    everyMs: 10,
    probes: [{ ...due, told: ({ isDue }) => (isDue ? sender.nudge() : undefined) }],
    watchers: { watched: () => ({ queues: [], runIds: [] }), seen: () => {}, wakeAll: () => {} },
  });
  const stop = async () => {
    await Promise.all([pulse.stop(), sender.stop()]);
  };
  const both = { nudge: sender.nudge, stop };
  senders.push(both);
  return both;
}

/** A receiver with its webhook, for runs of a workflow of its own. */
async function hooked(more: object = {}): Promise<{
  receiver: Receiver;
  workflow: string;
  webhookId: string;
  secret: string;
  name: string;
}> {
  const receiver = await open();
  const workflow = `w-${randomUUID()}`;
  const made = await call("webhooks.create", {
    name: workflow,
    url: receiver.url,
    events: ["*"],
    workflows: [workflow],
    ...more,
  });
  return { receiver, workflow, name: workflow, ...(made as { webhookId: string; secret: string }) };
}

const run = async (workflow: string) => String((await call("runs.create", { workflow }))["runId"]);

async function runs(workflow: string, count: number): Promise<void> {
  for (let n = 0; n < count; n++) await run(workflow);
}

async function deliveriesOf(webhookId: string, more: object = {}): Promise<Delivery[]> {
  const { deliveries } = await call("deliveries.list", { webhookId, limit: 200, ...more });
  return deliveries as Delivery[];
}

interface Delivery {
  deliveryId: string;
  type: string;
  status: string;
  attempts: number;
  lastStatus: number | null;
  lastError: string | null;
}

const statuses = async (webhookId: string) =>
  (await deliveriesOf(webhookId)).map(({ status }) => status);

test("a message is signed as Standard Webhooks says, and keeps its id over retries", async () => {
  const { receiver, workflow, secret, webhookId } = await hooked();
  receiver.answer = answerWith(500);
  const runId = await run(workflow);
  const sender = dispatcher();
  await soon(() => receiver.received.length).toBe(1);
  await soon(async () => (await deliveriesOf(webhookId))[0]?.lastStatus).toBe(500);
  receiver.answer = answerWith(204);
  await db.advance("10 seconds");
  await soon(() => receiver.received.length).toBe(2);
  await soon(() => statuses(webhookId)).toEqual(["delivered"]);
  await sender.stop();
  const [delivery] = await deliveriesOf(webhookId);
  expect(delivery).toMatchObject({ attempts: 2, type: "run.created", lastStatus: 204 });
  for (const { headers, text } of receiver.received) {
    const message = new Webhook(secret).verify(text, headers as Record<string, string>);
    expect(message).toMatchObject({
      type: "run.created",
      data: { runId, workflow, seq: 1, actor: "local" },
    });
    expect(headers).toMatchObject({
      "webhook-id": delivery?.deliveryId,
      "content-type": "application/json",
      "user-agent": "tidebase",
    });
  }
});

test("while a secret is rotated the old and the new one verify, later only the new one", async () => {
  const { receiver, workflow, secret, webhookId } = await hooked();
  const rotated = await call("webhooks.rotate", { webhookId, keepOldMs: 3_600_000 });
  const both = [secret, String(rotated["secret"])];
  const sender = dispatcher();
  await run(workflow);
  await soon(() => receiver.received.length).toBe(1);
  await db.advance("2 hours");
  await run(workflow);
  await soon(() => receiver.received.length).toBe(2);
  await sender.stop();
  const verifies = (n: number, key: string) => {
    const { text = "", headers = {} } = receiver.received[n] ?? {};
    try {
      return new Webhook(key).verify(text, headers as Record<string, string>) !== undefined;
    } catch {
      return false;
    }
  };
  expect(both.map((key) => verifies(0, key))).toEqual([true, true]);
  expect(both.map((key) => verifies(1, key))).toEqual([false, true]);
});

test("receivers that fail, hang, drip or flood delay nobody else", async () => {
  const bad = {
    fails: answerWith(500),
    redirects: answerWith(302, { location: "http://127.0.0.1:1/" }),
    crowded: answerWith(429, { "retry-after": "3600" }),
    hangs: () => {},
    drips: (response) => {
      response.writeHead(200, { "content-type": "text/plain" });
      const drip = setInterval(() => response.write("."), 20);
      response.once("close", () => clearInterval(drip));
    },
    floods: (response) => {
      response.writeHead(200);
      response.once("close", () => flooded.push(response.writableLength));
      const part = Buffer.alloc(1 << 20);
      let left = 50;
      const pour = () => {
        while (left > 0 && !response.destroyed) {
          left -= 1;
          if (!response.write(part)) return;
        }
        response.end();
      };
      response.on("drain", pour);
      pour();
    },
  } satisfies Record<string, Receiver["answer"]>;
  const flooded: number[] = [];
  const webhookIds = new Map<string, string>();
  for (const [name, answer] of Object.entries(bad)) {
    const { receiver, workflow, webhookId } = await hooked();
    receiver.answer = answer;
    webhookIds.set(name, webhookId);
    await runs(workflow, 15);
  }
  const good = await Promise.all([hooked(), hooked(), hooked()]);
  for (const { workflow } of good) await runs(workflow, 50);
  const started = performance.now();
  const sender = dispatcher();
  await soon(() => good.map(({ receiver }) => receiver.received.length), { timeout: 9000 }).toEqual(
    [50, 50, 50],
  );
  console.log(`150 good deliveries in ${Math.round(performance.now() - started)} ms`);
  const of = (name: string) => deliveriesOf(webhookIds.get(name) ?? "");
  const seen = async (name: string) =>
    (await of(name)).reduce((n, one) => n + Number(one.attempts > 0), 0);
  expect((await of("hangs")).every(({ status }) => status === "pending")).toBe(true);
  await soon(async () => (await of("drips")).every((d) => d.status === "delivered")).toBe(true);
  await soon(async () => (await of("floods")).every((d) => d.status === "delivered")).toBe(true);
  for (const name of ["fails", "redirects", "crowded"])
    expect(await seen(name), `${name}: the circuit closes after a few`).toBeLessThan(15);
  await soon(async () => (await of("hangs")).filter((d) => d.lastError === "timeout").length, {
    timeout: 15_000,
  }).toBeGreaterThan(4);
  await sender.stop();
  for (const webhookId of webhookIds.values())
    await call("webhooks.update", { webhookId, disabled: true });
  const { rows } = await db.pool.query(
    `select extract(epoch from max(due_at) - tidebase.now())::float8 as left from tidebase.deliveries
      where webhook_id = $1 and last_status = 429`,
    [webhookIds.get("crowded")?.slice(8)],
  );
  expect(rows[0]?.left).toBeGreaterThan(3000);
}, 60_000);

test("names that are not there, that are never answered or that lead inside delay nobody else", async () => {
  const names = {
    "gone.example.com": {
      answer: () => Promise.reject(new Error("none")),
      error: "name_not_resolved",
    },
    "slow.example.com": { answer: () => new Promise<never>(() => {}), error: "connect_timeout" },
    "inner.example.com": { answer: async () => ["10.0.0.7"], error: "address_refused" },
  };
  const bad = await Promise.all(
    Object.entries(names).map(async ([host, { error }]) => {
      const { workflow, webhookId } = await hooked();
      const url = "update tidebase.webhooks set url = $2 where webhook_id = $1"; // when it was written it was good
      await db.pool.query(url, [webhookId.slice(8), `https://${host}/`]);
      await runs(workflow, 5);
      return { webhookId, error };
    }),
  );
  const good = await hooked();
  await runs(good.workflow, 20);
  dispatcher((host) => names[host as keyof typeof names]?.answer() ?? resolveName(host));
  await soon(() => good.receiver.received.length, { timeout: 4000 }).toBe(20); // sooner than the slow one is given up
  for (const { webhookId, error } of bad)
    await soon(async () =>
      (await deliveriesOf(webhookId)).map(({ lastError }) => lastError),
    ).toContain(error);
  for (const { webhookId } of bad) await call("webhooks.update", { webhookId, disabled: true });
}, 60_000);

test("a backlog of thousands, and dozens of receivers that hang, stand before nobody", async () => {
  const hanging = await Promise.all(Array.from({ length: 30 }, () => hooked()));
  for (const { receiver, workflow } of hanging) {
    receiver.answer = () => {};
    await runs(workflow, 2);
  }
  await db.pool.query(
    `insert into tidebase.deliveries
       (delivery_id, webhook_id, run_id, seq, type, status, due_at, created_at, expires_at)
     select gen_random_uuid(), $1, gen_random_uuid(), n, 'run.failed', 'pending', now.at - interval '1 hour', now.at,
         now.at + interval '1 day'
       from generate_series(1, 5000) n, (select tidebase.now() as at) now`,
    [hanging[0]?.webhookId.slice(8)],
  );
  const good = await hooked();
  const from = performance.now();
  const sender = dispatcher();
  await soon(() => hanging.every(({ receiver }) => receiver.received.length > 0)).toBe(true);
  for (let n = 1; n <= 20; n++) {
    await run(good.workflow);
    sender.nudge();
    await soon(() => good.receiver.received.length, { timeout: 5000, interval: 5 }).toBe(n);
  }
  console.log(`20 good deliveries, one after another: ${Math.round(performance.now() - from)} ms`);
  expect(hanging[0]?.receiver.received.length).toBeLessThanOrEqual(8);
  for (const { webhookId } of hanging) await call("webhooks.update", { webhookId, disabled: true });
}, 60_000);

test("a day of failures makes a delivery dead, the run says so, and it can be sent again", async () => {
  const { receiver, workflow, webhookId, name } = await hooked();
  receiver.answer = answerWith(503);
  const runId = await run(workflow);
  const lease = { runId, grantId: newGrant() };
  const { epoch } = await call("runs.begin", lease);
  await completing(call)({ ...lease, epoch });
  dispatcher();
  await soon(
    async () => {
      await db.advance("1 hour");
      return statuses(webhookId);
    },
    { timeout: 20_000, interval: 20 },
  ).toEqual(["dead", "dead", "dead"]);
  const attempts = receiver.received.length;
  const { events } = await call("events.list", { runId, types: ["delivery.failed"] });
  expect(events).toHaveLength(3);
  expect((events as { data: object }[]).map(({ data }) => data)).toContainEqual({
    webhook: name,
    type: "run.completed",
    seq: 3,
    status: 503,
  });
  receiver.answer = answerWith(200);
  await db.advance("1 hour");
  const [newest] = await deliveriesOf(webhookId, { status: "dead" });
  const deliveryId = newest?.deliveryId;
  expect(await call("deliveries.redeliver", { deliveryId })).toEqual({
    redelivered: 1,
    more: false,
  });
  await soon(() => receiver.received.length).toBe(attempts + 1);
  expect(receiver.received.at(-1)?.headers["webhook-id"]).toBe(deliveryId);
  expect(await call("deliveries.redeliver", { webhookId })).toEqual({
    redelivered: 2,
    more: false,
  });
  await soon(() => statuses(webhookId)).toEqual(["delivered", "delivered", "delivered"]);
  await expect(call("deliveries.redeliver", { deliveryId })).rejects.toMatchObject({
    code: "delivery_not_dead",
  });
}, 60_000);

test("what a process claimed and never settled is sent by another after a minute, not before", async () => {
  const { receiver, workflow, webhookId } = await hooked();
  await run(workflow);
  const places = { webhookIds: [], sending: [], each: 8, limit: 64 };
  const claimed = await database.many(claim, places);
  expect(claimed.filter((one) => one.webhookId === webhookId)).toHaveLength(1);
  dispatcher();
  await db.advance("50 seconds");
  const other = await hooked();
  await run(other.workflow);
  await soon(() => other.receiver.received.length).toBe(1);
  expect(receiver.received).toHaveLength(0);
  await db.advance("15 seconds");
  await soon(() => statuses(webhookId)).toEqual(["delivered"]);
  expect(await deliveriesOf(webhookId)).toMatchObject([{ attempts: 2 }]);
});

test("after five failures in a row nothing is sent for half a minute, then one to try", async () => {
  const { receiver, workflow, webhookId } = await hooked();
  receiver.answer = answerWith(500);
  const state = async () => {
    const { webhooks } = await call("webhooks.list", { limit: 200 });
    const listed = webhooks as {
      webhookId: string;
      failures: number;
      closedUntil: string | null;
    }[];
    return listed.find((one) => one.webhookId === webhookId);
  };
  await runs(workflow, 30);
  dispatcher();
  await soon(async () => (await state())?.closedUntil).not.toBeNull();
  await soon(async () =>
    (await deliveriesOf(webhookId)).some((d) => d.attempts > 0 && d.lastStatus === null),
  ).toBe(false);
  const before = receiver.received.length;
  expect(before).toBeLessThan(14);
  expect(await state()).toMatchObject({ failures: 5 });
  await db.advance("31 seconds");
  await soon(async () => (await state())?.failures).toBe(6);
  expect(receiver.received).toHaveLength(before + 1);
  receiver.answer = answerWith(204);
  await db.advance("1 minute");
  await soon(async () => (await statuses(webhookId)).every((s) => s === "delivered")).toBe(true);
  expect(await state()).toMatchObject({ failures: 0, closedUntil: null, pending: 0 });
});

test("several processes send, and none sends what another has claimed", async () => {
  const hooks = await Promise.all([hooked(), hooked()]);
  for (const { workflow } of hooks) await runs(workflow, 150);
  for (const sender of [dispatcher(), dispatcher(), dispatcher()]) sender.nudge();
  await soon(() => hooks.map(({ receiver }) => receiver.received.length), {
    timeout: 15_000,
  }).toEqual([150, 150]);
  for (const { receiver, webhookId } of hooks) {
    await soon(async () => [...new Set(await statuses(webhookId))]).toEqual(["delivered"]);
    const ids = receiver.received.map(({ headers }) => headers["webhook-id"]);
    expect(ids).toHaveLength(150);
    expect(new Set(ids).size).toBe(150);
  }
}, 60_000);

test("run.invoke is sent again until somebody has begun the run", async () => {
  const { receiver, workflow, webhookId } = await hooked({ events: [], invokes: true });
  receiver.answer = answerWith(202);
  const runId = await run(workflow);
  const lease = { runId, grantId: newGrant() };
  const { epoch } = await call("runs.begin", lease);
  await call("runs.release", { ...lease, epoch, reason: "shutdown" });
  dispatcher();
  await soon(() => receiver.received.length).toBe(1);
  expect(receiver.received[0]?.message).toMatchObject({
    type: "run.invoke",
    data: { runId, workflow, status: "pending", reason: "run.released", seq: 3 },
  });
  await soon(async () => (await deliveriesOf(webhookId))[0]?.lastStatus).toBe(202);
  await db.advance("61 seconds");
  await soon(() => receiver.received.length).toBe(2);
  await soon(async () => (await deliveriesOf(webhookId))[0]?.attempts).toBe(2);
  await call("runs.begin", { runId, grantId: newGrant() });
  await db.advance("61 seconds");
  await soon(() => statuses(webhookId)).toEqual(["delivered"]);
  expect(receiver.received).toHaveLength(2);
});

test("a run.invoke that nobody follows for a day is dead", async () => {
  const { receiver, workflow, webhookId } = await hooked({ events: [], invokes: true });
  receiver.answer = answerWith(202);
  const runId = await run(workflow);
  const lease = { runId, grantId: newGrant() };
  const { epoch } = await call("runs.begin", lease);
  await call("runs.release", { ...lease, epoch, reason: "shutdown" });
  await db.advance("25 hours");
  dispatcher();
  await soon(() => statuses(webhookId)).toEqual(["dead"]);
  expect(await deliveriesOf(webhookId)).toMatchObject([
    { attempts: 1, lastStatus: 202, lastError: "run_not_begun" },
  ]);
});

test("410 ends the webhook: the delivery is dead, and nothing more is sent or kept for it", async () => {
  const { receiver, workflow, webhookId } = await hooked();
  receiver.answer = answerWith(410);
  await run(workflow);
  dispatcher();
  await soon(() => statuses(webhookId)).toEqual(["dead"]);
  await run(workflow);
  expect(await statuses(webhookId)).toEqual(["dead"]);
  const { webhooks } = await call("webhooks.list", { limit: 200 });
  expect(webhooks).toContainEqual(
    expect.objectContaining({ webhookId, disabledReason: "gone", dead: 1 }),
  );
  receiver.answer = answerWith(200);
  const enabled = await call("webhooks.update", { webhookId, disabled: false });
  expect(enabled).toMatchObject({ disabledAt: null, disabledReason: null, failures: 0 });
  await run(workflow);
  await soon(() => statuses(webhookId)).toEqual(["delivered", "dead"]);
});

test("closing waits a moment for what is under way, then leaves it to others", async () => {
  const { receiver, workflow, webhookId } = await hooked();
  receiver.answer = () => {};
  await run(workflow);
  const sender = dispatcher();
  await soon(() => receiver.received.length).toBe(1);
  const from = performance.now();
  await sender.stop();
  expect(performance.now() - from).toBeLessThan(6000);
  expect(await deliveriesOf(webhookId)).toMatchObject([{ status: "pending", lastError: null }]);
});

test("a process that writes sends at once what it wrote", async () => {
  const { receiver, workflow } = await hooked();
  const writer = senderOf(db.url);
  await writer.call("runs.create", { workflow });
  await soon(() => receiver.received.length).toBe(1);
  await writer.core.close();
});
