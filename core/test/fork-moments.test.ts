import { expect, test } from "vitest";
import { newGrant, signedIn, useDatabase } from "./support/database.ts";
import { copyOf, erase, type Lease, sources } from "./support/forks.ts";

const db = useDatabase();
const { complete, begin, fork, plan, journal, eventsOf } = sources(db);
const seed = Number(process.env["TIDEBASE_SEED"] ?? Math.floor(Math.random() * 2 ** 31));

const seqOf = async ({ runId }: Pick<Lease, "runId">) =>
  ((await db.call("runs.get", { runId })) as { run: { lastSeq: number } }).run.lastSeq;
const beginRun = async (runId: string): Promise<Lease> => {
  const grantId = newGrant();
  const { epoch } = (await db.call("runs.begin", { runId, grantId })) as { epoch: number };
  return { runId, epoch, grantId };
};
const write = (lease: Lease, value: unknown, more: object = {}) =>
  db.call("state.write", { ...lease, stream: "state", kind: "set", value, ...more });
const read = (runId: string, more: object = {}) =>
  db.call("state.read", { runId, stream: "state", ...more });
const send = (lease: Lease, name: string, payload: unknown, key?: string) =>
  db.call("signals.send", { runId: lease.runId, name, payload, key });
const take = (lease: Lease, name: string, signal = name) =>
  db.call("signals.take", { ...lease, name, signal });

test("state begins with the value and version it had, and the writes before the moment do not happen twice", async () => {
  const lease = await db.begun();
  await write(lease, { phase: 1 }, { writeKey: "a", label: "start" });
  await write(lease, { note: "x" }, { writeKey: "b", kind: "patch" });
  await db.call("state.write", { ...lease, stream: "log", kind: "set", value: [1] });
  const atSeq = await seqOf(lease);
  await write(lease, { phase: 3 }, { writeKey: "c" });
  await db.call("state.label", { ...lease, stream: "state", version: 1, label: "later" });
  const made = await fork(lease, { atSeq });
  expect(made).toMatchObject({
    streams: [
      { stream: "log", version: 1 },
      { stream: "state", version: 2 },
    ],
  });
  expect(await read(made.runId)).toMatchObject({ version: 2, value: { phase: 1, note: "x" } });
  const { versions } = await db.call("state.versions", { runId: made.runId, stream: "state" });
  expect(versions).toMatchObject([{ labels: [] }, { labels: [{ label: "start" }] }]);
  const held = await beginRun(made.runId);
  expect(await write(held, { phase: 1 }, { writeKey: "a" })).toEqual({
    version: 1,
    recorded: true,
  });
  expect(await write(held, { phase: 9 }, { writeKey: "c" })).toEqual({
    version: 3,
    recorded: false,
  });
  expect(await read(lease.runId)).toMatchObject({ version: 3, value: { phase: 3 } });
});

test("a document that was folded after the moment is nothing to the fork's own versions", async () => {
  const patch = (lease: Lease, value: object) => write(lease, value, { kind: "patch" });
  const lease = await db.begun();
  for (let n = 1; n <= 9; n++) await patch(lease, { n });
  await read(lease.runId); // kept as a keyframe
  const atSeq = await seqOf(lease);
  for (let n = 10; n <= 20; n++) await patch(lease, { n });
  await read(lease.runId);
  const held = await beginRun((await fork(lease, { atSeq })).runId);
  for (let n = 10; n <= 21; n++) await patch(held, { own: n });
  expect(await read(held.runId)).toMatchObject({ version: 21, value: { n: 9, own: 21 } });
  const text = "select version from tidebase.keyframes where run_id = any ($1) order by 1";
  const { rows } = await db.pool.query(text, [[lease.runId, held.runId].map((id) => id.slice(4))]);
  expect(rows.map(({ version }) => Number(version))).toEqual([9, 9, 20, 21]);
});

test("a wait that had its signal keeps it, a signal that nothing had taken waits in the fork, a later one is not there", async () => {
  const lease = await db.begun();
  await send(lease, "paid", 1, "one");
  await take(lease, "first", "paid");
  await send(lease, "paid", 2, "two");
  const atSeq = await seqOf(lease);
  await take(lease, "second", "paid");
  await send(lease, "paid", 3, "three");
  const made = await fork(lease, { atSeq });
  expect(made).toMatchObject({ keptSteps: 1, signals: 1 });
  expect(await eventsOf(made.runId)).toMatchObject([
    { type: "run.created" },
    { type: "step.copied", data: { name: "first" } },
    { type: "signal.copied", data: { name: "paid", key: "two" } },
  ]);
  const held = await beginRun(made.runId);
  expect(await take(held, "second", "paid")).toEqual({ outcome: "taken", output: { payload: 2 } });
  expect(await take(held, "third", "paid")).toEqual({ outcome: "waiting" });
  expect(await send(held, "paid", 2, "two"), "its key is known").toMatchObject({ recorded: true });
});

test("a sleep that was over is not slept again, unless it is what shall run again; one that was not is counted anew", async () => {
  const lease = await db.begun();
  const nap = { ...lease, name: "nap" };
  await db.call("timers.set", { ...nap, ms: 1000 });
  await db.call("timers.set", { ...lease, name: "long", ms: 10_000_000 });
  await db.advance("1 minute");
  await complete(lease, "work");
  const timersAnew = [{ name: "long", key: "" }];
  const made = await fork(lease, { atSeq: 3 });
  expect(made).toMatchObject({ timersAnew });
  const held = await beginRun(made.runId);
  expect(await db.call("timers.set", { ...held, name: "nap", ms: 1000 })).toMatchObject({
    leftMs: 0,
  });
  const { leftMs } = await db.call("timers.set", { ...held, name: "long", ms: 10_000_000 });
  expect(leftMs).toBeGreaterThan(9_990_000);
  await complete(lease, "nap", null);
  expect(await plan(lease, { atSeq: 4 })).toMatchObject({ keptSteps: 2, timersAnew });
  expect(await plan(lease, { from: { name: "nap" } })).toMatchObject({
    timersAnew: [{ name: "nap", key: "" }, ...timersAnew],
  });
});

test("a decision on a gate is never copied: the fork asks again", async () => {
  const lease = await db.begun();
  const { gateId, digest } = await db.gate(lease);
  await db.call("gates.resolve", { gateId, digest, decision: "approved" }, signedIn("ada"));
  await complete(lease, "after");
  const made = await fork(lease, { atSeq: await seqOf(lease) });
  expect(made).toMatchObject({
    gatesAskedAgain: [{ name: "send", key: "", status: "approved" }],
    kept: [{ name: "after" }],
  });
  const asked = await db.gate(await beginRun(made.runId));
  expect(asked.status).toBe("open");
  expect(asked.gateId).not.toBe(gateId);
});

test("a child whose result is recorded is kept with it; another is made anew, and the plan names it", async () => {
  const lease = await db.begun();
  const children = ["kept", "open"].map((name) => ({ name, workflow: "w" }));
  await db.call("children.create", { ...lease, children });
  await complete(lease, "child:kept", 1);
  const joined = [1, 2].map((n) => ({ name: "pages", key: `${n}`, workflow: "w" }));
  await db.call("children.create", { ...lease, children: joined });
  await complete(lease, "join:pages", { resultsStayWithChildren: true, ends: [] });
  const made = await fork(lease, { atSeq: await seqOf(lease) });
  expect(made).toMatchObject({
    kept: [{ name: "child:kept" }],
    childrenAnew: [{ name: "open" }, { name: "pages", key: "1" }, { name: "pages", key: "2" }],
    runAgain: [
      { name: "join:pages", repeatsEffects: false, why: expect.stringMatching("children") },
    ],
  });
  const held = await beginRun(made.runId);
  expect(await db.call("children.create", { ...held, children })).toMatchObject({
    results: [{ outcome: "created" }, { outcome: "created" }],
  });
});

test("a fork of a fork departs from any moment of its own log, and outlives both its ancestors", async () => {
  const lease = await db.begun();
  for (const name of ["z", "y", "x"]) {
    await complete(lease, name);
    await write(lease, { after: name });
  }
  const first = await fork(lease, { atSeq: await seqOf(lease) });
  await erase(db, lease.runId);
  const second = await fork(first, { from: { name: "x" } });
  expect(second.kept.map(({ name }) => name)).toEqual(["z", "y"]);
  const third = await fork(first, { atSeq: await seqOf(first) });
  await erase(db, first.runId);
  expect(await journal(second.runId)).toEqual({ z: "z", y: "y" });
  expect(await journal(third.runId)).toEqual({ z: "z", y: "y", x: "x" });
  expect(await read(third.runId)).toMatchObject({ version: 3, value: { after: "x" } });
  expect(await read(third.runId, { version: 1 })).toMatchObject({ value: { after: "z" } });
  const { run } = (await db.call("runs.get", { runId: third.runId })) as { run: object };
  expect(run).toMatchObject({ forkedFrom: { runId: first.runId } });
  const { steps } = (await db.call("steps.list", { runId: third.runId })) as { steps: unknown[] };
  expect(steps).toHaveLength(3);
});

test("the lists of a plan are bounded, their counts are not, and a fork of five thousand steps is one commit", async () => {
  const lease = await db.begun();
  const output = "x".repeat(1000);
  for (let page = 0; page < 5; page++)
    await db.call("steps.complete", {
      items: Array.from({ length: 1000 }, (_, n) => ({
        ...{ ...lease, name: "s", key: `${page}-${n}`, output },
      })),
    });
  const all = await plan(lease, { atSeq: 5002 });
  expect([all.keptSteps, all.kept.length]).toEqual([5000, 200]);
  const none = await plan(lease);
  expect([none.runAgainSteps, none.runAgain.length]).toEqual([5000, 200]);
  const edit = { name: "s", key: "0-0", output: 1 };
  const made = await fork(lease, { atSeq: 5002, edit });
  const writers = (await copyOf(db, made.runId)).map(({ xmin }) => xmin);
  expect(writers).toHaveLength(10_003);
  expect(new Set(writers).size, "transactions that wrote it").toBe(1);
  expect(made.kept[0], "the edited one is shown").toEqual({ name: "s", key: "0-0", edited: true });
  expect(await seqOf(made)).toBe(5001);
});

/** What a run had recorded when its log ended with `seq`. */
interface Moment {
  readonly seq: number;
  readonly steps: Readonly<Record<string, unknown>>;
  readonly state: unknown;
  readonly untaken: readonly number[];
}

test(`whatever a run did, a fork from any moment has what was recorded by then, and no more (seed ${seed})`, async () => {
  const random = randomOf(seed);
  const pick = (n: number) => Math.floor(random() * n);
  for (let round = 0; round < 4; round++) {
    const moments = await anyRun(pick);
    const { lease } = moments;
    const before = await copyOf(db, lease.runId);
    for (let tries = 0; tries < 4; tries++) {
      const at = moments.all[pick(moments.all.length)] as Moment;
      const made = await fork(lease, { atSeq: at.seq });
      const what = `round ${round}, atSeq ${at.seq}`;
      expect(await journal(made.runId), what).toEqual(at.steps);
      expect((await read(made.runId))["value"], what).toEqual(at.state);
      expect(await waitingSignals(made.runId), what).toEqual(at.untaken);
      const events = await eventsOf(made.runId);
      expect(
        events.map(({ seq }) => seq),
        what,
      ).toEqual(events.map((_, n) => n + 1));
    }
    expect(await copyOf(db, lease.runId)).toEqual(before);
  }
});

/** A run that did thirty things in some order, and what was recorded after each. */
async function anyRun(pick: (n: number) => number) {
  let lease: Lease = await db.begun();
  let [steps, state, untaken]: [Record<string, unknown>, unknown, number[]] = [{}, null, []];
  const name = () => `s${pick(6)}`;
  const acts: (() => Promise<unknown>)[] = [
    async () => {
      const [step, output] = [name(), pick(100)];
      await complete(lease, step, output);
      if (!(step in steps)) steps = { ...steps, [step]: output };
    },
    () => begin(lease, name()),
    () => {
      const failure = { ...lease, name: name(), error: { message: "no" }, message: "no" };
      return db.call("steps.fail", { items: [failure] });
    },
    async () => {
      state = { value: pick(100) };
      await write(lease, state);
    },
    async () => {
      const payload = pick(100);
      await send(lease, "go", payload);
      untaken = [...untaken, payload];
    },
    async () => {
      const [oldest, ...rest] = untaken;
      const step = `wait${pick(1000)}`;
      if (oldest === undefined || step in steps) return;
      await take(lease, step, "go");
      steps = { ...steps, [step]: { payload: oldest } };
      untaken = rest;
    },
    async () => {
      await db.call("runs.release", { ...lease, reason: "shutdown" });
      lease = await beginRun(lease.runId);
    },
  ];
  const all: Moment[] = [{ seq: 0, steps, state, untaken }];
  for (let n = 0; n < 30; n++) {
    await acts[pick(acts.length)]?.();
    all.push({ seq: await seqOf(lease), steps, state, untaken });
  }
  return { lease, all };
}

async function waitingSignals(runId: string): Promise<number[]> {
  const text = "select payload from tidebase.signals where run_id = $1 order by seq";
  const { rows } = await db.pool.query(text, [runId.slice(4)]);
  return rows.map(({ payload }) => Number(payload));
}

/** mulberry32 */
function randomOf(from: number): () => number {
  let state = from;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}
