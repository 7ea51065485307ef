import { expect, test } from "vitest";
import { openCore, type RunEvent } from "../src/index.ts";
import { countStatements } from "./support/counting-proxy.ts";
import { useDatabase } from "./support/database.ts";

const db = useDatabase();

async function collect(
  events: AsyncIterable<readonly RunEvent[]>,
  until: (seen: RunEvent[]) => boolean = () => false,
): Promise<RunEvent[]> {
  const seen: RunEvent[] = [];
  for await (const batch of events) {
    seen.push(...batch);
    if (until(seen)) break;
  }
  return seen;
}

test("a page ends where the next begins, and a filter keeps the numbers", async () => {
  const lease = await db.begun();
  const items = Array.from({ length: 8 }, (_, n) => ({ ...lease, name: `s${n}`, output: n }));
  await db.call("steps.complete", { items });
  const first = await db.call("events.list", { runId: lease.runId, limit: 4 });
  expect(first).toMatchObject({ lastSeq: 10, nextAfterSeq: 4 });
  const rest = await db.call("events.list", { runId: lease.runId, afterSeq: 4, limit: 100 });
  expect(rest).toMatchObject({ nextAfterSeq: null });
  expect(rest["events"]).toHaveLength(6);
  const begun = await db.call("events.list", { runId: lease.runId, types: ["run.begun"] });
  expect(begun).toMatchObject({ events: [{ seq: 2, type: "run.begun" }] });
});

test("a follower sees every event once and in order, to the end of the run", async () => {
  const lease = await db.begun();
  const following = collect(db.core.follow(lease.runId, 0, new AbortController().signal));
  for (let n = 0; n < 30; n++)
    await db.call("steps.complete", {
      items: [{ ...lease, name: "s", key: String(n), output: n }],
    });
  await db.complete(lease);
  expect((await following).map(({ seq }) => seq)).toEqual(
    Array.from({ length: 33 }, (_, n) => n + 1),
  );
});

test("two processes on one store: what one writes, a follower of the other sees", async () => {
  const other = openCore({ databaseUrl: db.url, sweeps: false });
  const lease = await db.begun();
  const abort = new AbortController();
  const following = collect(
    other.follow(lease.runId, 0, abort.signal),
    (seen) => seen.length === 3,
  );
  await db.call("steps.complete", { items: [{ ...lease, name: "s", output: 1 }] });
  expect((await following).at(-1)).toMatchObject({ seq: 3, type: "step.completed" });
  await other.close();
});

test("followers that are woken together read together", async () => {
  const proxy = await countStatements(db.url);
  const other = openCore({ databaseUrl: proxy.url, sweeps: false });
  const lease = await db.begun();
  const abort = new AbortController();
  let seen = 0;
  const followers = Array.from({ length: 50 }, () =>
    collect(other.follow(lease.runId, 0, abort.signal), (events) => {
      seen += 1;
      return events.length === 3;
    }),
  );
  await expect.poll(() => seen).toBe(50); // the two events of a begun run
  const before = proxy.count();
  await db.call("steps.complete", { items: [{ ...lease, name: "s", output: 1 }] });
  const heard = (await Promise.all(followers)).map((events) => events.at(-1)?.seq);
  expect(heard).toEqual(Array(50).fill(3));
  expect(proxy.count() - before).toBeLessThan(10);
  await other.close();
  proxy.close();
});

test("a follower that has seen the end of a final run is not kept waiting", async () => {
  const lease = await db.begun();
  await db.complete(lease);
  expect(await collect(db.core.follow(lease.runId, 3, new AbortController().signal))).toEqual([]);
});

test("a follower of an unknown run is told, an aborted one ends", async () => {
  const unknown = collect(
    db.core.follow("run_00000000-0000-7000-8000-000000000000", 0, new AbortController().signal),
  );
  await expect(unknown).rejects.toMatchObject({ code: "run_not_found" });
  const abort = new AbortController();
  const waiting = collect(db.core.follow((await db.begun()).runId, 2, abort.signal));
  abort.abort();
  expect(await waiting).toEqual([]);
});
