import { FatalError, isTidebaseError, type Run } from "@tidebase/sdk";
import { crashAt, crashAtEveryStep, openTestStore, type TestStore } from "@tidebase/sdk/testing";
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
});

test("what is no duration, or more than ten years, does not move the clock", async () => {
  const before = await store.clock.now();
  const wrong = ["3 fortnights", "900000 days", "9000000 days", "11000w", "-1 day", "", null, 4e11];
  for (const duration of wrong) {
    const refused = store.clock.advance(duration as "3 days");
    await expect(refused, String(duration)).rejects.toMatchObject({
      code: "input_invalid",
      message: expect.stringMatching(/up to ten years.*ms, s, m, h or d.*days or weeks/),
    });
  }
  expect((await store.clock.now()).getTime() - before.getTime()).toBeLessThan(10_000);
});

test("however often it is moved, the clock stays within a thousand years, and works there", async () => {
  const far = await openTestStore({ databaseUrl: inject("adminUrl") });
  try {
    const moment = new Date(Date.now() + 995 * 365.25 * DAY_MS);
    await far.clock.set(moment);
    const nap = async (run: Run<undefined>) => run.sleep("nap", "3d");
    const { runId } = await far.work(nap);
    await far.clock.advance("3 days");
    expect(await far.work(nap, { runId })).toMatchObject({ status: "completed" });
    for (const beyond of [far.clock.advance("3652 days"), far.clock.set(new Date(8.64e15))])
      await expect(beyond).rejects.toMatchObject({
        code: "input_invalid",
        message: expect.stringContaining("1000 years"),
      });
    await far.clock.advance("1 week");
  } finally {
    await far.close();
  }
});

test("the clock is set to a Date or an ISO instant, and to nothing else", async () => {
  const own = await openTestStore({ databaseUrl: inject("adminUrl") });
  const year = new Date().getUTCFullYear() + 1;
  const dates = [`${year}-02-30`, `${year}-02-30T12:00:00Z`, `${year}-13-01T12:00:00Z`];
  const vague = [`${year}-03-01`, `${year}-03-01T12:00:00`, `March 1 ${year}`, "", "tomorrow"];
  const none = [null, undefined, 0, 4e12, {}, new Date(Number.NaN)];
  for (const moment of [...dates, ...vague, ...none])
    await expect(own.clock.set(moment as string), String(moment)).rejects.toMatchObject({
      code: "input_invalid",
      message: expect.stringContaining("ISO instant"),
    });
  for (const moment of [`${year}-02-28T12:00+02:00`, `${year}-02-28T12:00:00.25Z`]) {
    await own.clock.set(moment);
    const now = (await own.clock.now()).getTime();
    expect(now - Date.parse(moment)).toBeGreaterThanOrEqual(0);
    expect(now - Date.parse(moment)).toBeLessThan(10_000);
  }
  await own.close();
});

test("a store that is closed refuses whatever it is asked, and runs nothing", async () => {
  const closed = await openTestStore({ databaseUrl: inject("adminUrl") });
  await closed.close();
  let runs = 0;
  const counted = async () => {
    runs += 1;
  };
  const asked: Record<string, () => unknown> = {
    now: () => closed.clock.now(),
    advance: () => closed.clock.advance("1 day"),
    set: () => closed.clock.set(new Date(Date.now() + DAY_MS)),
    answer: () => closed.gates.answer("any", "approve"),
    client: () => closed.client(),
    work: () => closed.work(counted),
    events: () => closed.events("run_00000000-0000-7000-8000-000000000000"),
    crashAt: () => crashAt(closed, counted, { step: "any", when: "before" }),
    crashAtEveryStep: () => crashAtEveryStep(closed, counted),
  };
  for (const [name, ask] of Object.entries(asked))
    await expect((async () => ask())(), name).rejects.toMatchObject({
      code: "client_closed",
      message: "The test store is closed.",
    });
  expect(runs).toBe(0);
});

test("a move of the clock that a close cuts off says that the store is closed", async () => {
  const leaving = await openTestStore({ databaseUrl: inject("adminUrl") });
  const moves = [1, 2, 3].map(() => leaving.clock.advance("1 day"));
  const ends = Promise.allSettled(moves);
  await leaving.close();
  for (const end of await ends)
    if (end.status === "rejected") expect(end.reason).toMatchObject({ code: "client_closed" });
  expect((await ends).at(-1)?.status).toBe("rejected");
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
