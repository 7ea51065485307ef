import { randomUUID } from "node:crypto";
import { expect, test } from "vitest";
import { newGrant, signedIn, useDatabase } from "./support/database.ts";

const db = useDatabase();
type Lease = { runId: string; epoch: number; grantId: string };
type Made = { runId: string; outcome: string; status: string };

async function create(parent: Lease, ...children: object[]): Promise<Made[]> {
  const given = children.map((child) => ({ workflow: "child", name: "part", ...child }));
  const { results } = await db.call("children.create", { ...parent, children: given });
  return results as Made[];
}
const list = (parent: { runId: string }, more: object = {}) =>
  db.call("children.list", { runId: parent.runId, ...more }) as Promise<{
    children: Record<string, unknown>[];
    afterName: string | null;
    afterKey: string | null;
  }>;
async function begin(runId: string, actor?: Parameters<typeof db.call>[2]): Promise<Lease> {
  const grantId = newGrant();
  const { epoch } = await db.call("runs.begin", { runId, grantId }, actor);
  return { runId, epoch: Number(epoch), grantId };
}
const error = { message: "no luck" };
const complete = (lease: Lease, result: unknown = null) => db.complete(lease, { result });
const fail = (lease: Lease) => db.call("runs.fail", { ...lease, error });
const suspend = (lease: Lease, waits: object) => db.call("runs.suspend", { ...lease, waits });
const run = async ({ runId }: { runId: string }) =>
  (await db.call("runs.get", { runId }))["run"] as Record<string, unknown>;
const events = async ({ runId }: { runId: string }) =>
  (await db.call("events.list", { runId }))["events"] as { type: string; data: object }[];
const refusal = (work: Promise<unknown>) =>
  work.then(
    () => "no refusal",
    (thrown: { code?: string }) => thrown.code ?? String(thrown),
  );
/** A parent with begun children of the name `part`, by their keys. */
async function family(...keys: string[]): Promise<{ parent: Lease; children: Lease[] }> {
  const parent = await db.begun();
  const made = await create(parent, ...keys.map((key) => ({ key })));
  return { parent, children: await Promise.all(made.map(({ runId }) => begin(runId))) };
}

test("a child is a run of its own that knows its parent, and its parent's log names it", async () => {
  const parent = await db.begun();
  const [made] = await create(parent, { key: "a", input: { n: 1 }, tags: ["x"] });
  expect(made).toMatchObject({ outcome: "created", status: "pending" });
  expect(await run(made as Made)).toMatchObject({
    workflow: "child",
    tags: ["x"],
    status: "pending",
  });
  expect((await events(parent)).at(-1)).toMatchObject({
    type: "child.created",
    data: { name: "part", key: "a", childRunId: made?.runId },
  });
  expect(await begin((made as Made).runId)).toMatchObject({ epoch: 1 });
});

test("creating it again finds it, in whatever state it is", async () => {
  const { parent, children } = await family("a");
  const [before] = [await run(parent)];
  expect(await create(parent, { key: "a" })).toEqual([
    { runId: children[0]?.runId, outcome: "existing", status: "running" },
  ]);
  await complete(children[0] as Lease);
  expect(await create(parent, { key: "a" })).toMatchObject([{ status: "completed" }]);
  expect(before["lastSeq"]).toBe(2 + 1);
});

test("twenty that create the same child at once make one", async () => {
  const parent = await db.begun();
  const release = await db.hold(parent.runId);
  const twenty = Array.from({ length: 20 }, () => create(parent, { key: "a" }, { key: "b" }));
  await db.blocked(10); // all connections there are
  await release();
  const answers = (await Promise.all(twenty)).flat();
  expect(new Set(answers.map(({ runId }) => runId)).size).toBe(2);
  expect(answers.filter(({ outcome }) => outcome === "created")).toHaveLength(2);
  const seqs = (await events(parent)).filter(({ type }) => type === "child.created");
  expect(seqs).toHaveLength(2);
  const { rows } = await db.pool.query("select from tidebase.runs where parent_run_id = $1", [
    parent.runId.slice(4),
  ]);
  expect(rows).toHaveLength(2);
});

test("another workflow or body under a known name and key is child_mismatch, for that item alone", async () => {
  const parent = await db.begun();
  const [first] = await create(parent, { key: "a", input: 1 });
  expect(
    await create(
      parent,
      { key: "a", input: 2 },
      { key: "a", input: 1, workflow: "other" },
      { key: "b", input: 1 },
      { key: "b", input: 1 },
      { key: "b", input: 2 },
    ),
  ).toMatchObject([
    { outcome: "child_mismatch", runId: first?.runId },
    { outcome: "child_mismatch", runId: first?.runId },
    { outcome: "created" },
    { outcome: "existing" },
    { outcome: "child_mismatch" },
  ]);
});

test("a thousand children are one call, numbered without gap, and each is in the log", async () => {
  const parent = await db.begun();
  const made = await create(parent, ...Array.from({ length: 1000 }, (_, n) => ({ key: `${n}` })));
  expect(made.every(({ outcome }) => outcome === "created")).toBe(true);
  const { rows } = await db.pool.query(
    `select ordinal, seq::int from tidebase.children c join tidebase.events e
       on e.run_id = c.parent_run_id and e.data ->> 'key' = c.key where parent_run_id = $1 order by ordinal`,
    [parent.runId.slice(4)],
  );
  expect(rows).toEqual(Array.from({ length: 1000 }, (_, n) => ({ ordinal: n + 1, seq: n + 3 })));
});

test("a run has no more than 10,000 children, and a tree no more than 32 levels", async () => {
  const parent = await db.begun();
  await db.pool.query(
    `insert into tidebase.children (parent_run_id, name, key, child_run_id, ordinal)
     select $1, 'many', n::text, gen_random_uuid(), n from generate_series(1, 9999) n`,
    [parent.runId.slice(4)],
  );
  expect(await refusal(create(parent, { key: "a" }, { key: "b" }))).toBe("run_too_wide");
  expect(await create(parent, { key: "a" })).toMatchObject([{ outcome: "created" }]);
  let last = await db.begun();
  for (let level = 2; level <= 32; level++) {
    const [made] = await create(last, {});
    last = await begin((made as Made).runId);
  }
  expect(await refusal(create(last, {}))).toBe("run_too_deep");
});

test("a fan-out that has no room for all of its children creates none, and its own do not count twice", async () => {
  const parent = await db.begun();
  const part = (key: string, fanoutSize: number) => ({ key, fanoutSize });
  expect(await refusal(create(parent, part("a", 10_001)))).toBe("run_too_wide");
  expect((await list(parent)).children).toEqual([]);
  expect(await create(parent, part("a", 10_000))).toMatchObject([{ outcome: "created" }]);
  expect(await create(parent, part("a", 10_000), part("b", 10_000))).toMatchObject([
    { outcome: "existing" },
    { outcome: "created" },
  ]);
  const other = { name: "other", key: "a" };
  expect(await refusal(create(parent, { ...other, fanoutSize: 9_999 }))).toBe("run_too_wide");
  expect(await create(parent, { ...other, fanoutSize: 9_998 })).toMatchObject([
    { outcome: "created" },
  ]);
});

test("a child takes what a queue offers only with a queue", async () => {
  const parent = await db.begun();
  for (const option of [{ priority: 1 }, { delayMs: 1 }, { maxAttempts: 2 }, { keyLimit: 1 }])
    expect(await refusal(create(parent, option))).toBe("input_invalid");
  expect(await refusal(create(parent, { queue: "q", keyLimit: 1 }))).toBe("input_invalid");
  expect(await refusal(create(parent, { dedupeKey: "k" }))).toBe("input_invalid");
  expect(await refusal(create(parent, { idempotencyKey: "k" }))).toBe("input_invalid");
});

test("a fan-out's limit holds for its queue from the first of its children on", async () => {
  const parent = await db.begun();
  const queue = `q-${randomUUID()}`;
  const limited = { queue, concurrencyKey: parent.runId, keyLimit: 2, priority: 3, delayMs: 0 };
  await create(parent, ...["a", "b", "c", "d"].map((key) => ({ key, ...limited })));
  const claim = async () =>
    (await db.call("queues.claim", { queue, grantId: newGrant(), limit: 10 }))["runs"] as Lease[];
  expect(await claim()).toHaveLength(2);
  expect(await claim()).toHaveLength(0);
  const { rows } = await db.pool.query(
    "select distinct priority, max_attempts, key_limit from tidebase.runs where queue = $1",
    [queue],
  );
  expect(rows).toEqual([{ priority: 3, max_attempts: 3, key_limit: 2 }]);
  const stale = { ...parent, grantId: newGrant() };
  expect(await refusal(create(stale, { ...limited, queue: "untouched" }))).toBe("lease_lost");
  const untouched = "select from tidebase.queues where queue = 'untouched'";
  expect((await db.pool.query(untouched)).rows).toHaveLength(0);
});

test("a suspended parent is woken by the end of a child it named, failed or not", async () => {
  for (const end of [complete, fail]) {
    const { parent, children } = await family("a", "b");
    const [a, b] = children as [Lease, Lease];
    const waits = { children: [{ name: "part", key: "a" }] };
    expect(await suspend(parent, waits)).toMatchObject({ outcome: "waiting" });
    expect((await run(parent))["waits"]).toEqual([a.runId.replace("run_", "child_")]);
    await end(b);
    expect(await run(parent), "another child").toMatchObject({ status: "waiting" });
    await end(a);
    expect(await run(parent)).toMatchObject({ status: "pending", waits: null, attempts: 0 });
    const tail = (await events(parent)).slice(-2);
    expect(tail).toMatchObject([
      { type: "child.ended", data: { key: "a", childRunId: a.runId } },
      { type: "run.woken", data: { by: a.runId.replace("run_", "child_") } },
    ]);
    expect(await suspend(parent, waits), "a lost answer").toMatchObject({ outcome: "waiting" });
  }
});

test("a join of all waits for the last end, a join of any for the first success or the last end", async () => {
  const all = await family("a", "b", "c");
  await suspend(all.parent, { joins: [{ name: "part", mode: "all" }] });
  expect((await run(all.parent))["waits"]).toEqual(["all_part"]);
  for (const [n, end] of [complete, fail, complete].entries()) {
    expect(await run(all.parent)).toMatchObject({ status: "waiting" });
    await end(all.children[n] as Lease);
  }
  expect(await run(all.parent)).toMatchObject({ status: "pending" });

  const any = await family("a", "b", "c");
  await suspend(any.parent, { joins: [{ name: "part", mode: "any" }] });
  await fail(any.children[0] as Lease);
  expect(await run(any.parent)).toMatchObject({ status: "waiting" });
  await complete(any.children[1] as Lease);
  expect(await run(any.parent)).toMatchObject({ status: "pending" });

  const none = await family("a", "b");
  await suspend(none.parent, { joins: [{ name: "part", mode: "any" }] });
  await fail(none.children[0] as Lease);
  await fail(none.children[1] as Lease);
  expect(await run(none.parent)).toMatchObject({ status: "pending" });
});

test("what has ended before is resumeNow, and what is not there cannot be waited for", async () => {
  const { parent, children } = await family("a", "b");
  const child = { children: [{ name: "part", key: "a" }] };
  const join = (mode: string) => ({ joins: [{ name: "part", mode }] });
  await complete(children[0] as Lease);
  expect(await suspend(parent, child)).toMatchObject({ outcome: "resumeNow" });
  expect(await suspend(parent, join("any"))).toMatchObject({ outcome: "resumeNow" });
  for (const waits of [
    { children: [{ name: "part", key: "z" }] },
    { joins: [{ name: "nobody", mode: "all" }] },
    { joins: [{ name: "nobody", mode: "any" }] },
  ])
    expect(await refusal(suspend(parent, waits))).toBe("wait_not_found");
  await fail(children[1] as Lease);
  expect(await suspend(parent, join("all"))).toMatchObject({ outcome: "resumeNow" });
  expect(await run(parent)).toMatchObject({ status: "running" });
});

test("a child that failed and goes on is open again for a join", async () => {
  const { parent, children } = await family("a", "b");
  const [a, b] = children as [Lease, Lease];
  await fail(a);
  await db.call("runs.recover", { runId: a.runId, dryRun: false });
  expect(await suspend(parent, { joins: [{ name: "part", mode: "all" }] })).toMatchObject({
    outcome: "waiting",
  });
  await complete(b);
  expect(await run(parent)).toMatchObject({ status: "waiting" });
  await complete(await begin(a.runId));
  expect(await run(parent)).toMatchObject({ status: "pending" });
});

test("a parent of a queue whose child ends on a queue goes back to its queue", async () => {
  const [queue, parts] = [`q-${randomUUID()}`, `q-${randomUUID()}`];
  await db.call("runs.enqueue", { items: [{ workflow: "w", queue }] });
  const claim = async (from: string) => {
    const grantId = newGrant();
    const { runs } = await db.call("queues.claim", { queue: from, grantId });
    return { ...(runs as Lease[])[0], grantId } as Lease;
  };
  const { runId, epoch, grantId } = await claim(queue);
  const parent = { runId, epoch, grantId };
  expect(await create(parent, { queue: parts })).toMatchObject([{ status: "queued" }]);
  await suspend(parent, { joins: [{ name: "part", mode: "all" }] });
  const child = await claim(parts);
  await complete({ runId: child.runId, epoch: child.epoch, grantId: child.grantId });
  expect(await run(parent)).toMatchObject({ status: "queued", attempts: 0 });
  const waits = { joins: [{ name: "part", mode: "all" }] };
  expect(await suspend(parent, waits), "a lost answer").toMatchObject({ outcome: "waiting" });
  expect(await claim(queue)).toMatchObject({ runId: parent.runId, epoch: 2 });
});

test("a parent that is final is told nothing; a detached child tells it like any other", async () => {
  const final = await family("a");
  await complete(final.parent);
  const before = await events(final.parent);
  await complete(final.children[0] as Lease);
  expect(await events(final.parent)).toEqual(before);

  const parent = await db.begun();
  const [made] = await create(parent, { detached: true });
  await suspend(parent, { children: [{ name: "part", key: "" }] });
  await complete(await begin((made as Made).runId));
  expect(await run(parent)).toMatchObject({ status: "pending" });
});

test("children are listed by name and key, with their results if asked", async () => {
  const parent = await db.begun();
  const made = await create(parent, { key: "b" }, { key: "a" }, { name: "other", key: "c" });
  await complete(await begin((made[0] as Made).runId), { n: 1 });
  await fail(await begin((made[1] as Made).runId));
  const { children, afterName } = await list(parent);
  expect(afterName).toBeNull();
  expect(children).toMatchObject([
    { name: "other", key: "c", ordinal: 3, status: "pending", ended: false },
    { name: "part", key: "a", ordinal: 2, failureClass: "workflow_error", errorMessage: "no luck" },
    { name: "part", key: "b", ordinal: 1, status: "completed", ended: true, runId: made[0]?.runId },
  ]);
  expect(children[0]).not.toHaveProperty("result");
  const withResult = await list(parent, { name: "part", include: ["result"] });
  expect(withResult.children).toMatchObject([
    { key: "a", ended: true, result: null, error },
    { key: "b", result: { n: 1 }, resultMeta: null, error: null },
  ]);
  const first = await list(parent, { limit: 2 });
  expect(first).toMatchObject({ afterName: "part", afterKey: "a" });
  const { afterName: name, afterKey: key } = first;
  expect((await list(parent, { afterName: name, afterKey: key })).children).toHaveLength(1);
  expect(await list({ runId: made[0]?.runId as string })).toMatchObject({ children: [] });
});

test("a page of results ends at about four million bytes", async () => {
  const { parent, children } = await family("a", "b", "c", "d", "e", "f");
  for (const child of children) await complete(child, "x".repeat(1_000_000));
  const page = await list(parent, { include: ["result"] });
  expect(page).toMatchObject({ afterName: "part", afterKey: "d" });
  expect(page.children).toHaveLength(4);
  expect((await list(parent)).children).toHaveLength(6);
  const rest = await list(parent, { include: ["result"], afterName: "part", afterKey: "d" });
  expect(rest).toMatchObject({ afterName: null, afterKey: null });
  expect(rest.children).toHaveLength(2);
});

test("no key that works in the tree of a run decides a gate of that tree", async () => {
  const keyed = (name: string) => signedIn(name, ["work", "enqueue", "approve", "operate"]);
  const [rooted, middle] = [keyed("root"), keyed("middle")];
  const [leafed, sibling] = [keyed("leaf"), keyed("sibling")];
  const decides = async (gate: { gateId: string; digest: string }, actor = keyed("x")) => {
    const { gateId, digest } = gate;
    return refusal(db.call("gates.resolve", { gateId, digest, decision: "approved" }, actor));
  };
  const root = await begin(await db.pending(), rooted);
  const [mid, side] = await create(root, { key: "mid" }, { key: "side" });
  const child = await begin((mid as Made).runId, middle);
  await begin((side as Made).runId, sibling);
  const [leaf] = await create(child, {});
  const last = await begin((leaf as Made).runId, leafed);
  for (const asking of [root, child, last]) {
    const gate = await db.gate(asking);
    for (const actor of [rooted, middle, leafed, sibling])
      expect(await decides(gate, actor), actor.name).toBe("gate_own_run");
    const { gateId } = gate;
    const code = { gateId, decision: "approved" };
    expect(await refusal(db.call("gates.code", code, leafed))).toBe("gate_own_run");
    expect(await decides(gate)).toBe("no refusal");
  }
  const elsewhere = await db.gate(await db.begun());
  expect(await decides(elsewhere, leafed)).toBe("no refusal");
});

test("a key that worked on a run of the tree decides none of its gates, whoever works on it now, begun or claimed", async () => {
  const keyed = (name: string) => signedIn(name, ["work", "enqueue", "approve"]);
  const [first, second, third] = [keyed("first"), keyed("second"), keyed("third")];
  const queue = "handed";
  const root = await begin(await db.pending(), keyed("root"));
  const [made] = await create(root, { queue });
  for (const actor of [first, second, first, third]) {
    const grantId = newGrant();
    const { runs } = await db.call("queues.claim", { queue, grantId }, actor);
    const [{ epoch }] = runs as [{ epoch: number }];
    const lease = { runId: (made as Made).runId, epoch, grantId };
    if (actor !== third) await db.call("runs.release", { ...lease, reason: "shutdown" }, actor);
  }
  const { gateId, digest } = await db.gate(root);
  const decision = { gateId, digest, decision: "approved" };
  for (const actor of [first, second, third])
    expect(await refusal(db.call("gates.resolve", decision, actor)), actor.name).toBe(
      "gate_own_run",
    );
  expect(await refusal(db.call("gates.resolve", decision, keyed("human")))).toBe("no refusal");
});
