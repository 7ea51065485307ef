import { setTimeout as delay } from "node:timers/promises";
import { beforeAll, describe, expect, test } from "vitest";
import { useDatabase } from "../../core/test/support/database.ts";
import { randomOf } from "../../test/support/random.ts";
import { check, checks, held, invalid } from "../checks/index.ts";
import { callerOf } from "../crash-points/chore.ts";
import { describe as described } from "../history/recorder.ts";
import type { Fault } from "../nemesis/fault.ts";
import { faults } from "../nemesis/index.ts";
import { KINDS, NAME } from "../nemesis/poisoned-rows.ts";
import { dealFaults } from "../trial-faults.ts";
import { look } from "../world/rest.ts";
import type { World } from "../world/world.ts";
import { addCall, addRun, type Draft, goodHistory, uuid } from "./good-history.ts";

const db = useDatabase();

/** What the history is called when it was changed so. */
function judged(change: (draft: Draft) => void): string[] {
  const draft = goodHistory();
  change(draft);
  draft.ops.sort((a, b) => a.at - b.at);
  return [...check(draft), ...invalid(draft)].map((one) => `${one.check} ${one.key}`);
}

describe("a trial proves nothing", () => {
  test("when a workload that was driven has not one operation", () => {
    const evidence = goodHistory();
    const driven = [...new Set(evidence.ops.map(({ workload }) => workload))];
    expect(invalid({ ...evidence, workloads: driven })).toEqual([]);
    expect(invalid({ ...evidence, workloads: [...driven, "W99"] })).toMatchObject([{ key: "W99" }]);
  });

  test("when what was good came before the blow, while it was prepared", () => {
    const evidence = goodHistory();
    const late = evidence.faults.map((fault) => ({ ...fault, struck: 4900 }));
    expect(invalid({ ...evidence, faults: late })).toMatchObject([{ key: "ops" }]);
  });
});

test("the blow of a fault comes when firing resolves, and where the firing is the blow when it begins", async () => {
  const preparesMs = 300;
  const fault = (id: string): Fault => ({
    ...{ id, title: "slow to fire", lastsMs: 1 },
    fire: () => delay(preparesMs, { told: "fired", heal: async () => {} }),
  });
  const failures: string[] = [];
  const dealt = [fault("F9"), fault("F17")];
  const fired = await dealFaults({} as World, dealt, randomOf(1), failures);
  expect(failures).toEqual([]);
  const prepared = new Map(fired.map(({ id, from, struck = from }) => [id, struck - from]));
  expect(prepared.get("F9")).toBe(0);
  expect(prepared.get("F17")).toBeGreaterThan(preparesMs / 2);
});

describe("a promise is broken", () => {
  test("when a call is answered as an error that nobody has thought of, whoever recorded it", () => {
    const error = Object.assign(new Error("Tidebase failed."), { code: "internal" });
    const got = described(error);
    const end = { from: 1, to: 2, got, type: "info" } as const;
    expect(judged((draft) => addCall(draft, { f: "runs.get", key: "k" }, end))).toEqual(["C15 k"]);
    const lost = { ...end, got: { ...got, code: "outcome_unknown" } };
    expect(judged((draft) => addCall(draft, { f: "runs.get", key: "k" }, lost))).toEqual([]);
  });

  test("when a server tells of such an answer, which its worker may have got over", () => {
    const ended = { name: "server2.0", role: "server", meant: true, code: null } as const;
    const logged = (code: string) =>
      judged(({ processes }) => {
        const stderr = `{"level":50,"route":"POST /v1/x","status":500,"code":"${code}"}\n`;
        processes.push({ ...ended, signal: "SIGTERM", stderr });
      });
    expect(logged("internal")).toEqual(["C15 server2.0"]);
    expect(logged("store_unavailable")).toEqual([]);
  });

  test("when the database's clock has been set back", () => {
    const setBackBy = (ms: number) =>
      judged((draft) =>
        addRun(draft, uuid(90), {}, [
          ["run.created", 2000],
          ["run.begun", 2000 - ms, { epoch: 1 }],
          ["run.completed", 2100],
        ]),
      );
    expect(setBackBy(900)).toEqual([]);
    expect(setBackBy(1100)).toEqual([`C15 ${uuid(90)}`]);
  });
});

describe("a clean trial is credited", () => {
  test("to what its faults have put to the test", () => {
    expect(held(["F8"], [])).not.toContain("P17");
    expect(held(["F8", "F3"], [])).toContain("P17");
    expect(held(["F3"], [])).not.toContain("P19");
    expect(held(["F25"], [])).toContain("P19");
    const all = faults.map(({ id }) => id);
    expect(new Set(held(all, []))).toEqual(new Set(checks.flatMap(({ promises }) => promises)));
  });

  test("to nothing that a violation speaks against", () => {
    const violations = [{ check: "C3", key: "k", message: "gone" }];
    const promises = held(["F3", "F25"], violations);
    expect(promises).toContain("P1");
    for (const promise of ["P7", "P15", "P17"]) expect(promises).not.toContain(promise);
  });
});

describe("a store is not at rest while there is due, and not done,", () => {
  const query = async (text: string, values: readonly unknown[] = []) =>
    (await db.pool.query(text, [...values])).rows;
  const unrest = async () => (await look({ query })).unrest;
  const ALREADY = ["lost_workers", "orphaned_children"]; // a run that somebody has begun counts as it is

  beforeAll(async () => {
    await db.call("queues.update", { queue: NAME, paused: true }); // what nobody may claim ends all the same
  });

  test.each(KINDS.map((kind) => [kind.name, kind] as const))("a row of %s", async (name, kind) => {
    const { runs } = await kind.plant(callerOf(db.core));
    const before = await unrest();
    await query(kind.due, [runs]);
    expect(await unrest()).toBe(before + (ALREADY.includes(name) ? 0 : 1));
    expect(await unrest()).toBeGreaterThan(0);
  });

  test("a schedule, unless it is paused", async () => {
    const before = await unrest();
    const schedule = { name: "s", workflow: "w", cron: "0 0 1 1 *", queue: "q" };
    await db.call("schedules.put", schedule);
    await query("update tidebase.schedules set next_fire_at = tidebase.now() where name = 's'");
    expect(await unrest()).toBe(before + 1);
    await db.call("schedules.update", { name: "s", paused: true });
    expect(await unrest()).toBe(before);
  });
});
