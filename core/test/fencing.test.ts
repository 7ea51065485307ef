import { describe, expect, test } from "vitest";
import { operations } from "../src/index.ts";
import { newGrant, useDatabase } from "./support/database.ts";

const db = useDatabase();
type Lease = { runId: string; epoch: number; grantId: string };

/** How to call each fenced operation; a new one without an entry fails the first test. */
const calls: Record<string, (lease: Lease) => object> = {
  "runs.heartbeat": (lease) => ({ items: [lease] }),
  "runs.complete": (lease) => ({ items: [{ ...lease, result: "zombie" }] }),
  "runs.suspend": (lease) => ({ ...lease, waits: { signals: ["zombie"] } }),
  "gates.open": (lease) => ({ ...lease, name: "zombie", prompt: "May I?" }),
  "timers.set": (lease) => ({ ...lease, name: "zombie", ms: 1 }),
  "children.create": (lease) => ({ ...lease, children: [{ name: "zombie", workflow: "w" }] }),
  "signals.take": (lease) => ({ ...lease, name: "zombie", signal: "s" }),
  "runs.release": (lease) => lease,
  "runs.fail": (lease) => ({ ...lease, error: { message: "zombie" } }),
  "steps.fail": (lease) => ({
    items: [{ ...lease, name: "charge", error: {}, message: "zombie" }],
  }),
  "state.write": (lease) => ({ ...lease, kind: "set", value: "zombie" }),
  "state.label": (lease) => ({ ...lease, label: "zombie" }),
  "usage.record": (lease) => ({ ...lease, kind: "zombie", totalTokens: 1, writeKey: "zombie" }),
  "steps.begin": (lease) => ({ items: [{ ...lease, name: "charge" }] }),
  "steps.complete": (lease) => ({ items: [{ ...lease, name: "charge", output: "zombie" }] }),
};

/** Leases that are not the run's present one. */
const bad: Record<string, () => Promise<Lease>> = {
  "a stale": async () => {
    const lease = await db.begun();
    await db.advance("2 minutes");
    await db.call("runs.begin", { runId: lease.runId, grantId: newGrant() });
    return lease;
  },
  "a foreign": async () => ({ ...(await db.begun()), grantId: newGrant() }),
  "a future": async () => {
    const lease = await db.begun();
    return { ...lease, epoch: lease.epoch + 1 };
  },
  "a missing": async () => ({ runId: await db.pending(), epoch: 0, grantId: newGrant() }),
};

test("every operation says whether it is fenced, and why", () => {
  for (const { name, fenced, because } of operations) {
    expect(typeof fenced, name).toBe("boolean");
    expect(because, name).toMatch(/^[A-Z].{10,}\.$/);
  }
});

test("every fenced operation is tried here", () => {
  const fenced = operations.filter((operation) => operation.fenced).map(({ name }) => name);
  expect(Object.keys(calls).sort()).toEqual(fenced.sort());
});

describe.each(Object.keys(calls))("%s", (name) => {
  test.each(Object.keys(bad))("with %s lease is lease_lost and changes nothing", async (kind) => {
    const lease = (await bad[kind]?.()) as Lease;
    const before = await snapshot(lease.runId);
    expect(await refusal(name, lease)).toBe("lease_lost");
    expect(await snapshot(lease.runId)).toEqual(before);
  });

  test("under a run that does not exist is run_not_found", async () => {
    const lease = { ...(await db.begun()), runId: "run_00000000-0000-7000-8000-000000000000" };
    expect(await refusal(name, lease)).toBe("run_not_found");
  });

  test("without a lease is refused before it reaches the database", async () => {
    const { runId } = await db.begun();
    expect(await refusal(name, { runId } as Lease)).toBe("input_invalid");
  });
});

async function refusal(name: string, lease: Lease): Promise<unknown> {
  try {
    const { results } = await db.call(name, calls[name]?.(lease) ?? {});
    return (results as { outcome: string }[])[0]?.outcome;
  } catch (error) {
    return (error as { code?: string }).code;
  }
}

async function snapshot(runId: string): Promise<unknown> {
  const text = `select r as run, p as payload,
      (select json_agg(s) from tidebase.steps s where s.run_id = r.run_id) as steps,
      (select json_agg(v) from tidebase.versions v where v.run_id = r.run_id) as versions,
      (select json_agg(l) from tidebase.labels l where l.run_id = r.run_id) as labels,
      (select json_agg(g) from tidebase.gates g where g.run_id = r.run_id) as gates,
      (select json_agg(t) from tidebase.timers t where t.run_id = r.run_id) as timers,
      (select json_agg(c) from tidebase.children c where c.parent_run_id = r.run_id) as children,
      (select json_agg(s) from tidebase.signals s where s.run_id = r.run_id) as signals,
      (select json_agg(u) from tidebase.usage u where u.run_id = r.run_id) as usage,
      (select json_agg(e) from tidebase.events e where e.run_id = r.run_id) as events
    from tidebase.runs r left join tidebase.payloads p using (run_id) where r.run_id = $1`;
  return (await db.pool.query(text, [runId.slice(4)])).rows;
}
