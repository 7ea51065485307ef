import { randomUUID } from "node:crypto";
import type { ServerResponse } from "node:http";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { openDatabase } from "../src/database.ts";
import { dueDeliveries } from "../src/deliveries/sql.ts";
import { pulseOf } from "../src/pulse-sql.ts";
import { useDatabase } from "./support/database.ts";
import { senderOf, useReceivers } from "./support/receiver.ts";

const db = useDatabase();
const receiver = useReceivers();
const database = openDatabase({ databaseUrl: db.url });
const { core: setup, call } = senderOf(db.url, { sweeps: false });
afterAll(() => Promise.all([setup.close(), database.close()]));
beforeAll(async () => {
  await db.pool.query(`create table poisoned (id uuid);
    create function refuse() returns trigger language plpgsql as $$ begin
      if exists (select from poisoned where id = old.delivery_id) then raise exception 'poisoned'; end if;
      return new; end $$;
    create trigger poison before update on tidebase.deliveries for each row execute function refuse()`);
});

/** A webhook with messages of so many runs. */
async function hooked(runs: number) {
  const endpoint = await receiver();
  const workflow = `w-${randomUUID()}`;
  const { webhookId } = await call("webhooks.create", {
    name: workflow,
    url: endpoint.url,
    events: ["run.created"],
    workflows: [workflow],
  });
  for (let n = 0; n < runs; n++) await call("runs.create", { workflow });
  const { deliveries } = await call("deliveries.list", { webhookId });
  return { endpoint, deliveries: deliveries as { deliveryId: string; runId: string }[] };
}

async function spoil(delivery: { deliveryId: string } | undefined): Promise<void> {
  await db.pool.query("insert into poisoned values ($1)", [delivery?.deliveryId.slice(9)]);
}

const isDue = async () =>
  (await database.one(pulseOf([dueDeliveries]), { machine: "", queues: [], runIds: [] })).due
    .length > 0;

const tries = async () =>
  Number(
    (
      await db.pool.query(
        "select sum(tries) as n from tidebase.quarantine where sweep = 'deliveries'",
      )
    ).rows[0].n,
  );

test("one that cannot be claimed, beside an endpoint that never answers, holds up no other", async () => {
  const hung = await hooked(12);
  const unanswered: ServerResponse[] = [];
  hung.endpoint.answer = (response) => void unanswered.push(response);
  const beside = await hooked(5);
  const other = await hooked(5);
  await spoil(beside.deliveries.at(-1));
  await spoil(beside.deliveries[2]);
  const from = performance.now();
  const { core } = senderOf(db.url);
  onTestFinished(() => core.close());
  await expect
    .poll(() => [beside, other].map(({ endpoint }) => endpoint.received.length), { timeout: 5000 })
    .toEqual([3, 5]);
  console.log(`8 beside 2 poisoned: ${Math.round(performance.now() - from)} ms`);
  await expect.poll(() => unanswered.length).toBe(8);
  for (const response of unanswered) response.writeHead(204).end();
});

test("it is set aside for longer each time, told of once, and sent when it can be", async () => {
  await db.pool.query(
    "delete from poisoned; update tidebase.webhooks set disabled_at = tidebase.now()",
  );
  await db.pool.query("delete from tidebase.quarantine");
  const { endpoint, deliveries } = await hooked(1);
  const [bad] = deliveries;
  await spoil(bad);
  const { core } = senderOf(db.url, { sweepEveryMs: 20 });
  onTestFinished(() => core.close());
  for (let n = 1; n < 7; n++) {
    await expect.poll(tries, { interval: 5 }).toBeGreaterThanOrEqual(n);
    if (n > 3) expect(await isDue(), "no process looks for it").toBe(false);
    await db.advance(`${2 ** (n - 2)} seconds`);
  }
  const { events } = await call("events.list", { runId: bad?.runId, types: ["run.quarantined"] });
  expect(events).toMatchObject([{ data: { sweep: "deliveries" } }]);
  expect(endpoint.received).toHaveLength(0);
  await db.pool.query("delete from poisoned");
  await db.advance("10 minutes");
  await expect.poll(() => endpoint.received.length).toBe(1);
});
