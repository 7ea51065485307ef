import { FatalError, isTidebaseError, type Run } from "@tidebase/sdk";
import { openTestStore, type TestStore } from "@tidebase/sdk/testing";
import pg from "pg";
import { afterAll, beforeAll, expect, inject, test, vi } from "vitest";
import { openClock } from "../../core/src/throwaway/clock.ts";
import { useDatabase } from "../../core/test/support/database.ts";
import { deferred } from "./support.ts";

const DAY_MS = 86_400_000;
const foreign = useDatabase();
let store: TestStore;

beforeAll(async () => {
  store = await openTestStore({ databaseUrl: inject("adminUrl") });
});
afterAll(() => store.close());

async function made(): Promise<string[]> {
  const text = "select datname from pg_database where starts_with(datname, 'tidebase_throwaway_')";
  return (await foreign.pool.query(text)).rows.map(({ datname }) => String(datname));
}

test("a store has a database of its own, which closing drops, be it twice", async () => {
  const before = await made();
  const second = await openTestStore({ databaseUrl: inject("adminUrl") });
  expect(await made()).toHaveLength(before.length + 1);
  const { runId } = await second.work(async function hello(run: Run<undefined>) {
    return run.step("hello", () => 1);
  });
  const types = (await second.events(runId)).map(({ type }) => type);
  expect(types).toEqual(["run.created", "run.begun", "step.completed", "run.completed"]);
  await expect(store.tide.runs.get(runId)).rejects.toMatchObject({ code: "run_not_found" });
  await Promise.all([second.close(), second.close()]);
  expect(await made()).toEqual(before);
});

test("a sleep of three days is over when the clock was moved over it", async () => {
  const nap = async (run: Run<{ who: string }>) => {
    await run.sleep("nap", "3d");
    return `${run.input.who} slept`;
  };
  const begun = await store.work(nap, { input: { who: "ada" } });
  expect(begun).toMatchObject({ status: "waiting", wakeAt: expect.any(Date) });
  await store.clock.advance("2 days");
  expect(await store.work(nap, { runId: begun.runId })).toMatchObject({ status: "waiting" });
  await store.clock.advance("1 day");
  expect((await store.tide.runs.get(begun.runId)).run.status).toBe("pending");
  expect(await store.work(nap, { runId: begun.runId })).toMatchObject({ result: "ada slept" });
});

test("a run that has ended is still there when a year has passed", async () => {
  const kept = await openTestStore({ databaseUrl: inject("adminUrl") });
  try {
    const { runId } = await kept.work(async function hello() {
      return 1;
    });
    await kept.clock.advance("365 days");
    expect((await kept.tide.runs.get(runId)).run.status).toBe("completed");
  } finally {
    await kept.close();
  }
});

test("what a process waits for by its own timers follows the clock as well", async () => {
  const asleep = deferred();
  let tries = 0;
  const brief = store.work(async function brief(run: Run<undefined>) {
    await run.step("flaky", { retry: { maxAttempts: 2, minMs: 20_000, jitter: false } }, () => {
      tries += 1;
      if (tries === 1) setImmediate(asleep.resolve);
      if (tries === 1) throw new Error("not yet");
    });
    await run.sleep("short", "25s");
    return tries;
  });
  await asleep.promise;
  const until = async () => {
    await store.clock.advance("10s");
    return Promise.race([brief, Promise.resolve("asleep")]);
  };
  await expect.poll(until, { interval: 5 }).toMatchObject({ status: "completed", result: 2 });
});

test("a worker that lives keeps its lease while days pass", async () => {
  const [begun, end] = [deferred(), deferred()];
  const worked = store.work(async function slow(run: Run<undefined>) {
    return run.step("slow", async () => {
      begun.resolve();
      await end.promise;
      return "done";
    });
  });
  await begun.promise;
  await store.clock.advance(3 * DAY_MS);
  end.resolve();
  expect(await worked).toMatchObject({ result: "done" });
});

test("the clock stops at every moment at which something is due", async () => {
  await store.tide.schedules.put("daily", "report", { cron: "0 12 * * *", overlap: "allow" });
  await store.clock.advance("3 days");
  const { runs } = await store.tide.runs.list({ workflow: "report" });
  expect(runs).toHaveLength(3);
  const days = runs.map(({ createdAt }) => createdAt.slice(11, 16));
  expect(days).toEqual(["12:00", "12:00", "12:00"]);
});

test("the clock is read and set, and refuses to go back", async () => {
  const moment = new Date((await store.clock.now()).getTime() + DAY_MS);
  await store.clock.set(moment);
  const now = (await store.clock.now()).getTime();
  expect(now - moment.getTime()).toBeLessThan(10_000);
  const past = store.clock.set(new Date(0));
  await expect(past).rejects.toSatisfy((error) => isTidebaseError(error, "input_invalid"));
  await expect(store.clock.advance("3 fortnights" as "3 days")).rejects.toThrow("clock.advance");
});

test("gates of every assurance and number of approvers answer themselves", async () => {
  const stop = store.gates.answer(
    (gate) => gate.name.startsWith("may"),
    ({ key }) => (key === "no" ? { decision: "reject", note: "too dear" } : "approve"),
  );
  const asking = async (run: Run<undefined>) => {
    const question = { prompt: "May I?" };
    const code = await run.gate("may-1", { ...question, risk: "high" });
    const signed = await run.gate("may-2", { ...question, assurance: "signed_in" });
    const two = await run.gate("may-3", { ...question, approvers: ["ada", "bob"], approvals: 2 });
    const no = await run.gate("may-4", { ...question, key: "no" });
    return [code, signed, two, no].map(({ approved, via, note }) => [approved, via, note]);
  };
  const { result } = await store.work(asking);
  expect(result).toEqual([
    [true, "page", null],
    [true, "page", null],
    [true, "page", null],
    [false, "page", "too dear"],
  ]);
  stop();
  expect(await store.work(asking)).toMatchObject({ status: "waiting" });
});

test("a gate that is open already is answered by a later rule, and a refused answer is thrown", async () => {
  const asking = async (run: Run<undefined>) =>
    (
      await run.gate("colour", {
        prompt: "Which?",
        answerSchema: {
          type: "object",
          properties: { colour: { type: "string" } },
          required: ["colour"],
        },
      })
    ).answer;
  const { runId } = await store.work(asking);
  const stop = store.gates.answer("colour", "approve");
  await expect(store.clock.advance(0)).rejects.toThrow(/gate "colour" was refused.*colour/);
  stop();
  store.gates.answer("colour", { decision: "approve", answer: { colour: "red" } });
  expect(await store.work(asking, { runId })).toMatchObject({ result: { colour: "red" } });
});

test("what the workflow throws is thrown, and another client sees the run", async () => {
  const failing = () => Promise.reject(new FatalError("no more"));
  await expect(store.work(failing, { name: "failing" })).rejects.toThrow("no more");
  const { runs } = await store.client().runs.list({ workflow: "failing" });
  expect(runs).toMatchObject([{ status: "failed", errorMessage: "no more" }]);
});

test("a key that the environment holds for another server is not sent to the store", async () => {
  vi.stubEnv("TIDEBASE_API_KEY", "tb_of_another_server");
  const { runs } = await store.client().runs.list();
  vi.unstubAllEnvs();
  expect(runs.length).toBeGreaterThan(0);
});

test("the clock of a database without the mark is never moved", async () => {
  const shift = async () =>
    (await foreign.pool.query("select shift::text from tidebase.clock")).rows;
  const before = await shift();
  for (const mark of ["", '{"tidebase":"throwaway"}']) {
    const clock = openClock({ url: foreign.url, mark });
    await expect(clock.moveTo(new Date(Date.now() + DAY_MS))).rejects.toThrow("may not be moved");
    await clock.close();
  }
  expect(await shift()).toEqual(before);
});

test("databases of processes that are gone are dropped by the next to open one", async () => {
  const admin = new pg.Client(inject("adminUrl"));
  await admin.connect();
  const [left, theirs, unmarked] = ["1_left", "2_theirs", `${Date.now()}_unmarked`].map(
    (name) => `tidebase_throwaway_${name}`,
  );
  const mine = await admin.query(
    "select shobj_description(oid, 'pg_database') as mark from pg_database where datname = any ($1) limit 1",
    [await made()],
  );
  const mark = JSON.parse(String(mine.rows[0]?.["mark"]));
  const marks = {
    [String(left)]: { ...mark, process: { pid: 2 ** 22 + 1, startedAt: "" } },
    [String(theirs)]: { ...mark, machine: "another", madeAt: new Date().toISOString() },
  };
  for (const name of [left, theirs, unmarked]) await admin.query(`create database ${name}`);
  for (const [name, text] of Object.entries(marks))
    await admin.query(`comment on database ${name} is '${JSON.stringify(text)}'`);
  await (await openTestStore({ databaseUrl: inject("adminUrl") })).close();
  const names = await made();
  expect(names).not.toContain(left);
  expect(names).toEqual(expect.arrayContaining([theirs, unmarked]));
  for (const name of [theirs, unmarked]) await admin.query(`drop database ${name}`);
  await admin.end();
});
