import { createHook } from "node:async_hooks";
import { setTimeout as pause } from "node:timers/promises";
import { FatalError, type Run } from "@tidebase/sdk";
import {
  crashAt,
  crashAtEveryStep,
  openTestStore,
  recordEffects,
  type TestStore,
} from "@tidebase/sdk/testing";
import { afterAll, beforeAll, expect, inject, test } from "vitest";
import { cuttableClient } from "../src/testing/client.ts";
import { deferred } from "./support.ts";

let store: TestStore;
const effects = recordEffects();

beforeAll(async () => {
  store = await openTestStore({ databaseUrl: inject("adminUrl") });
});
afterAll(() => store.close());

test("a workflow whose effects have keys is clean, killed at three boundaries of every step", async () => {
  const order = async (run: Run<{ id: string }>) => {
    const contract = { sideEffects: ["charge"], idempotencyKey: `charge-${run.input.id}` };
    const receipt = await run.step("charge", contract, ({ idempotencyKey = "" }) => {
      effects.record("charge", run.input.id, { idempotencyKey });
      return new Date(0);
    });
    await run.state.set({ charged: true });
    const both = ["a", "b"].map((key) => run.step("look", { key }, () => pause(5, key)));
    return { receipt, looks: await Promise.all(both) };
  };
  const report = await crashAtEveryStep(store, order, { input: { id: "o-1" }, effects });
  expect(report).toMatchObject({ isClean: true, workflow: "order", unreached: [], reviews: [] });
  expect(report.result).toEqual({ receipt: new Date(0), looks: ["a", "b"] });
  expect(report.runs).toHaveLength(9);
  expect(report.runs.every(({ status }) => status === "completed")).toBe(true);
  const rerun = report.rerunSteps.filter(({ killedAt }) => killedAt.when === "during");
  expect(rerun.some(({ step, times }) => step === "charge" && times === 2)).toBe(true);
  expect(String(report)).toContain(
    "order: 3 steps, killed at 9 boundaries\nno effect was repeated",
  );
});

test("an effect without a key, and one outside of a step, are found where they repeat", async () => {
  const careless = async (run: Run<undefined>) => {
    effects.record("log in");
    await run.step("mail", () => void effects.record("mail", "ada"));
  };
  const report = await crashAtEveryStep(store, careless, { effects });
  const at = (when: string) => ({ step: "mail", key: "", when });
  expect(report.repeatedEffects).toEqual([
    { effect: "log in", key: "", times: 2, expected: 1, killedAt: at("before") },
    { effect: "log in", key: "", times: 2, expected: 1, killedAt: at("during") },
    { effect: "mail", key: "ada", times: 2, expected: 1, killedAt: at("during") },
    { effect: "log in", key: "", times: 2, expected: 1, killedAt: at("after") },
  ]);
  expect(report.isClean).toBe(false);
  expect(String(report)).toContain('mail ada: 2 times instead of 1, killed during "mail"');
});

test("a step whose name has a random part is found, and so is what it does twice", async () => {
  let n = 0;
  const unstable = async (run: Run<undefined>) => {
    n += 1;
    return run.step(`fetch ${n}`, () => effects.record("fetch"));
  };
  const report = await crashAtEveryStep(store, unstable, { effects });
  const after = report.renamedSteps.find(({ killedAt }) => killedAt.when === "after");
  expect(after?.missing.map(({ step }) => step)).toContain(after?.killedAt.step);
  expect(after?.instead).toHaveLength(1);
  expect(report.repeatedEffects.map(({ killedAt }) => killedAt.when)).toEqual(["during", "after"]);
});

test("another result of a resumed run is found", async () => {
  let n = 0;
  const counting = async (run: Run<undefined>) => [++n, await run.step("one", () => 1)];
  const report = await crashAtEveryStep(store, counting, { reset: () => (n = 0) });
  expect(report.result).toEqual([1, 1]);
  expect(report.differentResults.map(({ result }) => result)).toEqual([
    [2, 1],
    [2, 1],
    [2, 1],
  ]);
});

test("an effect that nobody may repeat waits for a review", async () => {
  const dear = async (run: Run<undefined>) =>
    run.step("pay", { sideEffects: ["payment"] }, () => effects.record("payment"));
  const report = await crashAtEveryStep(store, dear, { effects });
  expect(report.reviews.map(({ step, killedAt }) => [step, killedAt.when])).toEqual([
    ["pay", "before"],
    ["pay", "during"],
  ]);
  expect(report).toMatchObject({ isClean: true, failures: [], repeatedEffects: [] });
});

test("a killed worker's code goes no further, and what it still does is not counted", async () => {
  const seen: string[] = [];
  const resumed = deferred();
  let calls = 0;
  const parallel = async (run: Run<undefined>) => {
    const slow = run.step("slow", async () => {
      calls += 1;
      if (calls === 2) resumed.resolve();
      else await resumed.promise;
      seen.push("slow");
      effects.record("slow");
    });
    try {
      await run.step("fast", () => pause(1));
      seen.push("fast is done");
    } finally {
      seen.push("finally");
    }
    await slow;
  };
  const crashed = await crashAt(store, parallel, { step: "fast", when: "after", effects });
  expect(crashed).toMatchObject({ status: "completed", killedAt: { step: "fast", when: "after" } });
  expect(seen.filter((what) => what === "finally")).toHaveLength(1);
  expect(seen.filter((what) => what === "slow")).toHaveLength(2);
  expect(crashed.effects).toEqual([{ effect: "slow", key: "", times: 1 }]);
  const types = (await store.events(crashed.runId)).map(({ type }) => type);
  expect(types).not.toContain("run.failed");
  expect(types).not.toContain("run.released");
});

test("a run that is not done in time has failed, and what it does later is not counted", async () => {
  const [released, done] = [deferred(), deferred()];
  let [calls, counted] = [0, true];
  const slow = async (run: Run<undefined>) =>
    run.step("slow", async () => {
      calls += 1;
      if (calls !== 2) return;
      await released.promise;
      counted = effects.record("late");
      done.resolve();
    });
  const report = await crashAtEveryStep(store, slow, { effects, timeoutMs: 1500 });
  expect(report.failures.map(({ killedAt }) => killedAt.when)).toEqual(["before"]);
  expect(String(report)).toContain('killed before "slow": The run has not ended within 1500 ms.');
  released.resolve();
  await done.promise;
  expect(counted).toBe(false);
});

test("a place that is never reached, and a run that waits in vain, are said", async () => {
  const short = async (run: Run<undefined>) => run.step("only", () => 1);
  await expect(crashAt(store, short, { step: "other", when: "before" })).rejects.toThrow(
    'without coming to before "other". It executed: only.',
  );
  const stuck = async (run: Run<undefined>) => run.waitFor("nobody sends it");
  await expect(crashAtEveryStep(store, stuck)).rejects.toThrow("nobody brings it");
});

test("a run that fails before its worker is killed is a failure with its error, not an unreached place", async () => {
  let n = 0;
  const sickly = async (run: Run<undefined>) => {
    n += 1;
    if (n === 2) throw new FatalError("sick of it");
    return run.step("one", () => 1);
  };
  const report = await crashAtEveryStep(store, sickly);
  const place = { step: "one", key: "", when: "before" };
  expect(report).toMatchObject({ isClean: false, unreached: [] });
  expect(report.failures).toEqual([
    {
      error: expect.objectContaining({ message: "sick of it" }),
      killedAt: place,
      wasKilled: false,
    },
  ]);
  expect(report.runs).toHaveLength(2);
  expect(String(report)).toContain('before it was killed before "one": sick of it.');
});

test("a run that is not done in time before its worker is killed says so", async () => {
  const never = deferred();
  let n = 0;
  const hanging = async (run: Run<undefined>) => {
    n += 1;
    if (n === 2) await never.promise;
    return run.step("one", () => 1);
  };
  const report = await crashAtEveryStep(store, hanging, { timeoutMs: 1000 });
  expect(report.failures).toMatchObject([{ killedAt: { when: "before" }, wasKilled: false }]);
  expect(String(report)).toContain("The run has not ended within 1000 ms.");
  never.resolve();
});

test("options that cannot be used are refused before anything is run", async () => {
  let runs = 0;
  const counted = async (run: Run<undefined>) => {
    runs += 1;
    return run.step("one", () => 1);
  };
  const place = { step: "one", when: "before" };
  const wrong = [
    { ...place, when: "sometime" },
    { ...place, when: undefined },
    { ...place, step: "" },
    { ...place, key: 7 },
    { ...place, timeoutMs: Number.NaN },
    { ...place, whenWaiting: "signal" },
  ];
  for (const options of wrong)
    await expect(crashAt(store, counted, options as never)).rejects.toMatchObject({
      code: "input_invalid",
    });
  for (const options of [{ timeoutMs: 0 }, { timeoutMs: 1e12 }, { reset: true }])
    await expect(crashAtEveryStep(store, counted, options as never)).rejects.toMatchObject({
      code: "input_invalid",
    });
  expect(runs).toBe(0);
});

test("killed parents of children leave no timer that keeps the process", async () => {
  const own = await openTestStore({ databaseUrl: inject("adminUrl") });
  const begun = new Map<Kept, string>();
  const hook = createHook({
    init(_, type, _trigger, timer) {
      if (type === "Timeout") begun.set(timer as Kept, String(new Error("begun here").stack));
    },
  });
  hook.enable();
  try {
    const parent = async (run: Run<undefined>) => {
      const one = await run.child("k", async (part) => part.step("q", () => 5));
      const parts = ["a", "b"].map((key) => ({
        key,
        workflow: async (part: Run<undefined>) => part.step("r", () => key),
      }));
      return [one, await run.fanout("f", parts as never)];
    };
    const report = await crashAtEveryStep(own, parent, { name: "parent" });
    expect(report.failures).toEqual([]);
    await own.close();
  } finally {
    hook.disable();
  }
  const kept = [...begun].filter(([timer]) => !timer._destroyed && timer.hasRef());
  expect(kept.map(([, stack]) => stack).filter((stack) => stack.includes("/sdk/src/"))).toEqual([]);
  expect(begun.size).toBeGreaterThan(0);
});

/** A timer as Node knows it: one that is cleared or over is destroyed. */
interface Kept extends NodeJS.Timeout {
  readonly _destroyed: boolean;
}

test("what a killed worker had sent is answered before its lease ends", async () => {
  const [sent, answer] = [deferred(), deferred()];
  const late: typeof fetch = async (...asked) => {
    sent.resolve();
    const answered = await fetch(...asked);
    await answer.promise;
    return answered;
  };
  const { tide, cut, settled } = cuttableClient(store.url, { fetch: late });
  const asked = tide.call("runs.create", { workflow: "late" });
  asked.catch(() => {});
  await sent.promise;
  cut();
  await expect(asked).rejects.toMatchObject({ code: "client_closed" });
  const order: string[] = [];
  const ended = settled().then(() => order.push("settled"));
  await pause(1);
  order.push("answered");
  answer.resolve();
  await ended;
  expect(order).toEqual(["answered", "settled"]);
  await tide.close();
});
