import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { FAULTS, preparePoison } from "../../test/support/poison.ts";
import { openDatabase } from "../src/database.ts";
import { pulseOf } from "../src/pulse-sql.ts";
import { newGrant, useDatabase } from "./support/database.ts";
import { senderOf, useReceivers } from "./support/receiver.ts";

const db = useDatabase();
const receiver = useReceivers();
const database = openDatabase({ databaseUrl: db.url });
afterAll(() => database.close());
let poison: Awaited<ReturnType<typeof preparePoison>>;
beforeAll(async () => {
  poison = await preparePoison(db.pool);
});

const newQueue = () => `q-${randomUUID()}`;
const bare = (id: string) => id.slice(id.indexOf("_") + 1);

async function enqueue(queue: string, ...items: object[]): Promise<string[]> {
  const given = items.map((item) => ({ workflow: "w", queue, ...item }));
  const { results } = await db.call("runs.enqueue", { items: given });
  return (results as { runId: string }[]).map(({ runId }) => runId);
}

async function claim(queue: string, limit = 1, more: object = {}): Promise<string[]> {
  const grantId = newGrant();
  const { runs } = await db.call("queues.claim", { queue, grantId, limit, ...more });
  return (runs as { runId: string }[]).map(({ runId }) => runId);
}

const told = async (runId = "") =>
  (await db.call("events.list", { runId, types: ["run.quarantined"] }))["events"];

const tries = async (runId = "") =>
  (await db.pool.query("select tries from tidebase.quarantine where run_id = $1", [bare(runId)]))
    .rows[0]?.tries;

const isReady = async (queue: string) =>
  (await database.one(pulseOf([]), { machine: "", queues: [queue], runIds: [] })).queues.length > 0;

for (const [fault, sqlState] of Object.entries(FAULTS))
  test(`a run that ${fault} when it is claimed holds up no other of its queue`, async () => {
    const queue = newQueue();
    const [bad, ...good] = await enqueue(queue, {}, {}, {}, {});
    await poison.spoil(bad ?? "", sqlState);
    expect(await claim(queue)).toEqual(good.slice(0, 1));
    expect(await claim(queue, 100)).toEqual(good.slice(1));
    expect(await tries(bad)).toBe(1);
  });

test("it is tried again after a while, twice as long each time, and told of once", async () => {
  const queue = newQueue();
  const [bad = ""] = await enqueue(queue, {});
  await poison.spoil(bad, "P0001");
  for (let n = 1; n < 7; n++) {
    expect(await isReady(queue)).toBe(true);
    expect(await claim(queue)).toEqual([]);
    expect(await isReady(queue), "nobody is woken for it").toBe(false);
    expect(await claim(queue)).toEqual([]);
    expect(await tries(bad)).toBe(n);
    await db.advance(`${2 ** (n - 2) + 0.1} seconds`);
  }
  expect(await told(bad)).toMatchObject([{ data: { sweep: "claims" } }]);
  await poison.cure();
  expect(await claim(queue)).toEqual([bad]);
});

test("of a hundred runs of many keys in a queue with limits, three that cannot be claimed are found", async () => {
  const queue = newQueue();
  await db.call("queues.update", { queue, keyConcurrency: 5, concurrency: 90 });
  const items = Array.from({ length: 100 }, (_, n) => ({ concurrencyKey: `k${n % 25}` }));
  const ids = await enqueue(queue, ...items);
  const bad = [ids[10], ids[50], ids[99]].map(String);
  for (const runId of bad) await poison.spoil(runId, "P0001");
  const claimed: string[] = [];
  for (let n = 0; n < 30 && claimed.length < 90; n++) claimed.push(...(await claim(queue, 100)));
  expect(new Set(claimed).size).toBe(90);
  expect(bad.filter((runId) => claimed.includes(runId))).toEqual([]);
  expect(await claim(queue, 100)).toEqual([]);
  await poison.cure();
});

test("a run that no trigger, event or lock is safe with holds up no other, and is set aside untold", async () => {
  const queue = newQueue();
  const [bad = "", good] = await enqueue(queue, {}, {});
  await db.pool.query(`create function refuse_all() returns trigger language plpgsql as $$
      begin if old.run_id = '${bare(bad)}' then raise exception 'never'; end if; return new; end $$;
    create trigger never before update on tidebase.runs for each row execute function refuse_all()`);
  onTestFinished(async () => void (await db.pool.query("drop function refuse_all cascade")));
  expect(await claim(queue)).toEqual([good]);
  for (let n = 1; n < 6; n++) {
    await db.advance("9 seconds");
    expect(await claim(queue)).toEqual([]);
  }
  expect(await tries(bad)).toBe(6);
  expect(await told(bad)).toEqual([]);
});

test("a run whose event or payload is at fault is found as well", async () => {
  const queue = newQueue();
  const [bad = "", good] = await enqueue(queue, {}, {});
  await db.pool.query("update tidebase.runs set last_seq = 0 where run_id = $1", [bare(bad)]);
  expect(await claim(queue, 2), "its next event is there already").toEqual([good]);
  expect(await tries(bad)).toBe(1);
});

test("what is the fault of no run is thrown, and sets none aside", async () => {
  const queue = newQueue();
  const ids = await enqueue(queue, {}, {});
  await db.pool.query(`create function refuse_workers() returns trigger language plpgsql as $$
      begin raise exception 'no workers'; end $$;
    create trigger refuse before insert on tidebase.workers for each row execute function refuse_workers()`);
  const workerId = `worker_${randomUUID()}`;
  await expect(claim(queue, 1, { workerId })).rejects.toThrow("no workers");
  await db.pool.query("drop function refuse_workers cascade");
  expect(await claim(queue, 2, { workerId })).toEqual(ids);
});

test("workers that claim at once get every run but the poisoned, each once", async () => {
  const queue = newQueue();
  const ids = await enqueue(queue, ...Array.from({ length: 60 }, () => ({})));
  const bad = [ids[0], ids[20], ids[40]].map(String);
  for (const runId of bad) await poison.spoil(runId, "P0001");
  const good = ids.filter((runId) => !bad.includes(runId));
  const claimed: string[] = [];
  const worker = async () => {
    for (let misses = 0; misses < 20 && claimed.length < good.length; misses++)
      for (let got = await claim(queue, 3); got.length > 0; got = await claim(queue, 3))
        claimed.push(...got);
  };
  await Promise.all(Array.from({ length: 8 }, worker));
  expect(claimed.sort()).toEqual(good.sort());
  await poison.cure();
});

test("a run that cannot be pushed holds up no other of its queue", async () => {
  const { url } = await receiver();
  const name = `push-${randomUUID()}`;
  const { core, call } = senderOf(db.url, { sweepEveryMs: 20 });
  onTestFinished(() => core.close());
  await call("webhooks.create", { name, url, everyRun: false });
  const queue = newQueue();
  const [bad = "", ...good] = await enqueue(queue, {}, {}, {});
  await poison.spoil(bad, "P0001");
  await db.call("queues.update", { queue, webhook: name });
  const pushed = async () =>
    (await db.pool.query("select from tidebase.runs where queue = $1 and pushed", [queue]))
      .rowCount;
  await expect.poll(pushed).toBe(good.length);
});
