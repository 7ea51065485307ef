import { expect, test } from "vitest";
import { useDatabase } from "./support/database.ts";

const db = useDatabase();
type Lease = Awaited<ReturnType<typeof db.begun>>;

const record = (lease: Lease, key: number, output: unknown = key) =>
  db.call("steps.complete", { items: [{ ...lease, name: "s", key: `${key}`, output }] });
const COMPLETED = { results: [{ outcome: "completed" }] };

/** The transactions that these runs' completed steps were written in. */
async function commitsOf(leases: readonly Lease[]): Promise<number> {
  const { rows } = await db.pool.query(
    `select count(distinct xmin::text)::int as n from tidebase.events
      where type = 'step.completed' and run_id = any ($1)`,
    [leases.map(({ runId }) => runId.slice(4))],
  );
  return rows[0].n;
}

test("steps of callers that come at the same time share commits, and each gets its own answer", async () => {
  const leases = await Promise.all(Array.from({ length: 16 }, () => db.begun()));
  const stale = { ...(await db.begun()), epoch: 7 };
  const turns = leases.map(async (lease) => {
    for (let key = 0; key < 20; key++) expect(await record(lease, key)).toEqual(COMPLETED);
  });
  const refused = Array.from({ length: 20 }, (_, key) => record(stale, key));
  await Promise.all(turns);
  for (const answer of await Promise.all(refused))
    expect(answer).toEqual({ results: [{ outcome: "lease_lost" }] });
  const commits = await commitsOf(leases);
  expect(commits).toBeGreaterThan(0);
  expect(commits).toBeLessThan(160); // of 320 steps
  for (const { runId } of leases) {
    const { steps } = await db.call("steps.list", { runId, limit: 100 });
    expect((steps as unknown[]).length).toBe(20);
  }
});

test("a caller alone has a commit for each of its steps, and waits for nobody", async () => {
  const lease = await db.begun();
  for (let key = 0; key < 10; key++) expect(await record(lease, key)).toEqual(COMPLETED);
  expect(await commitsOf([lease])).toBe(10);
});

test("a caller whose run somebody holds locked keeps no other waiting", async () => {
  const [locked, other, third] = await Promise.all([db.begun(), db.begun(), db.begun()]);
  const letGo = await db.hold(locked.runId);
  const waiting = [record(locked, 1), record(locked, 2), record(locked, 3)];
  await db.blocked(3);
  const free = [other, third].flatMap((lease) => [1, 2, 3].map((key) => record(lease, key)));
  for (const answer of await Promise.all(free)) expect(answer).toEqual(COMPLETED);
  await letGo();
  for (const answer of await Promise.all(waiting)) expect(answer).toEqual(COMPLETED);
});

test("callers of one flight, and items of one call, wait for the locked one among them no longer than it takes to part", async () => {
  const leases = await Promise.all(Array.from({ length: 20 }, () => db.begun()));
  const [locked, first, second, ...others] = leases as [Lease, Lease, Lease, ...Lease[]];
  const letGo = await db.hold(locked.runId);
  const stuck = [record(locked, 1), record(first, 1), record(second, 1), record(locked, 2)]; // two flights, then these two
  const free = others.map((lease) => record(lease, 1));
  for (const answer of await Promise.all([stuck[1], stuck[2], ...free]))
    expect(answer).toEqual(COMPLETED);
  const items = [locked, ...others].map((lease) => ({ ...lease, name: "mixed", output: 2 }));
  const mixed = db.call("steps.complete", { items });
  const recorded = "select from tidebase.steps where name = 'mixed'";
  await expect
    .poll(async () => (await db.pool.query(recorded)).rowCount, { timeout: 5000 })
    .toBe(others.length);
  await letGo();
  expect(await mixed).toEqual({ results: items.map(() => ({ outcome: "completed" })) });
  for (const answer of await Promise.all([stuck[0], stuck[3]])) expect(answer).toEqual(COMPLETED);
});

test("the same step sent by two callers at once is recorded once, and both are told", async () => {
  const lease = await db.begun();
  const twice = await Promise.all(Array.from({ length: 8 }, () => record(lease, 1, "same")));
  for (const answer of twice) expect(answer).toEqual(COMPLETED);
  expect(await db.call("steps.list", { runId: lease.runId })).toMatchObject({
    steps: [{ name: "s", key: "1" }],
  });
});
