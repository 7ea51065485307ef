import { expect, test } from "vitest";
import { bind, bindItems } from "../src/statement.ts";
import { decimalText, readMoment } from "../src/usage/rules.ts";
import * as usage from "../src/usage/sql.ts";
import { newGrant, type TestDatabase, useDatabase } from "./support/database.ts";

const db = useDatabase();
type Lease = Awaited<ReturnType<TestDatabase["begun"]>>;
interface Sums {
  readonly records: number;
  readonly costUsd: string;
  readonly [name: string]: unknown;
}
interface Totals {
  readonly since: string | null;
  readonly total: Sums;
  readonly groups: readonly (Sums & { readonly group: string | null })[];
  readonly more: boolean;
}
interface Written {
  readonly recorded: boolean;
  readonly record: { readonly seq: number; readonly [name: string]: unknown };
}

const record = async (lease: Lease, more: object = {}) =>
  (await db.call("usage.record", { ...lease, kind: "llm", ...more })) as unknown as Written;
const totals = async (which: object) => (await db.call("usage.totals", which)) as unknown as Totals;
const lastSeq = async ({ runId }: Pick<Lease, "runId">) =>
  Number((await db.call("events.list", { runId }))["lastSeq"]);

/** A run of a workflow, with a lease; a child when a parent is given. */
async function begin(workflow: string, parent?: Lease): Promise<Lease> {
  let runId = String((await db.call("runs.create", { workflow: "unused" }))["runId"]);
  if (parent === undefined) runId = String((await db.call("runs.create", { workflow }))["runId"]);
  else {
    const children = [{ name: "part", key: newGrant(), workflow }];
    const { results } = await db.call("children.create", { ...parent, children });
    runId = (results as { runId: string }[])[0]?.runId ?? "";
  }
  const grantId = newGrant();
  const { epoch } = await db.call("runs.begin", { runId, grantId });
  return { runId, epoch: Number(epoch), grantId };
}

test("a record keeps what it says, takes one event without its metadata, and is listed", async () => {
  const lease = await db.begun();
  const said = {
    ...{ provider: "anthropic", model: "claude", label: "draft", unit: "page", quantity: "2.50" },
    ...{ inputTokens: 1200, outputTokens: 34, costUsd: "0.0135", metadata: { note: [null, "é"] } },
  };
  const { record: written, recorded } = await record(lease, said);
  expect(recorded).toBe(false);
  expect(written).toEqual({
    ...{ ...said, kind: "llm", quantity: "2.5", totalTokens: 1234 },
    ...{ runId: lease.runId, seq: 3, at: expect.any(String) },
  });
  const { events } = await db.call("events.list", { runId: lease.runId, afterSeq: 2 });
  const { provider, model, label } = said;
  expect(events).toEqual([
    {
      ...{ seq: 3, type: "usage.recorded", at: expect.any(String) },
      data: { kind: "llm", provider, model, label, tokens: 1234, costUsd: "0.0135" },
    },
  ]);
  expect(await db.call("usage.list", { runId: lease.runId })).toEqual({
    records: [written],
    nextAfterSeq: null,
  });
});

test("a known write key is answered with the first record, and changes nothing", async () => {
  const lease = await db.begun();
  const first = await record(lease, { costUsd: "0.1", writeKey: "k", metadata: { n: 1 } });
  const seq = await lastSeq(lease);
  const again = await record(lease, { kind: "gpu", costUsd: "9", writeKey: "k" });
  expect(again).toEqual({ record: first.record, recorded: true });
  expect(await lastSeq(lease)).toBe(seq);
  await record(lease, { costUsd: "0.1", writeKey: "other" });
  await record(lease, { costUsd: "0.1" });
  await record(lease, { costUsd: "0.1" });
  const other = await db.begun();
  expect(await record(other, { costUsd: "0.1", writeKey: "k" })).toMatchObject({ recorded: false });
  expect((await totals({ runId: lease.runId })).total).toMatchObject({
    records: 4,
    costUsd: "0.4",
  });
});

test("racing records of one key are one, those of others are all there", async () => {
  const lease = await db.begun();
  const writes = Array.from({ length: 24 }, (_, n) =>
    record(lease, { inputTokens: 1, writeKey: `k${n % 4}` }),
  );
  const answers = await Promise.all(writes);
  expect(answers.filter(({ recorded }) => !recorded)).toHaveLength(4);
  for (const key of [0, 1, 2, 3])
    expect(new Set(answers.filter((_, n) => n % 4 === key).map((a) => a.record.seq)).size).toBe(1);
  expect((await totals({ runId: lease.runId })).total).toMatchObject({
    records: 4,
    inputTokens: 4,
  });
});

test("a record that waited while another wrote its key finds it", async () => {
  const lease = await db.begun();
  const release = await db.hold(lease.runId);
  const [one, two] = [1, 2].map((n) => record(lease, { inputTokens: n, writeKey: "k" }));
  await db.blocked(2);
  await release();
  const answers = await Promise.all([one, two]);
  expect(answers.map((answer) => answer?.recorded).sort()).toEqual([false, true]);
  expect(answers[0]?.record).toEqual(answers[1]?.record);
  expect((await totals({ runId: lease.runId })).total.records).toBe(1);
});

test("a batch of one run takes numbers without gap, and a key that is in it twice counts once", async () => {
  const lease = await db.begun();
  const items = ["a", "b", "a", undefined, undefined].map((writeKey) => ({
    ...{ ...lease, kind: "llm", totalTokens: 1, writeKey },
  }));
  const { rows } = await db.pool.query(
    usage.record.text,
    bindItems(usage.record.parameters, items),
  );
  expect(rows.map(({ outcome }) => outcome)).toEqual([
    ...["written", "written", "again", "written", "written"],
  ]);
  const { events } = await db.call("events.list", { runId: lease.runId, afterSeq: 2 });
  expect((events as { seq: number }[]).map(({ seq }) => seq)).toEqual([3, 4, 5, 6]);
});

test("recording extends the lease like every write of a worker", async () => {
  const lease = await db.begun();
  await db.advance("50 seconds");
  await record(lease, { totalTokens: 1 });
  await db.advance("50 seconds");
  const { run } = await db.call("runs.get", { runId: lease.runId });
  expect(run).toMatchObject({ leaseOver: false });
});

test.each([
  ["no figure", { label: "x" }],
  ["a unit without a quantity", { totalTokens: 1, unit: "page" }],
  ["a negative cost", { costUsd: -1 }],
  ["a negative cost in text", { costUsd: "-0.1" }],
  ["thirteen digits before the point", { costUsd: "1000000000000" }],
  ["thirteen digits after the point", { costUsd: "0.0000000000001" }],
  ["an exponent in text", { costUsd: "1e-7" }],
  ["no number at all", { costUsd: "NaN" }],
  ["a number of thirteen digits", { costUsd: 1e12 }],
  ["half a token", { inputTokens: 0.5 }],
  ["fewer than no tokens", { outputTokens: -1 }],
  ["too many tokens", { inputTokens: 1_000_000_001 }],
  ["a list for metadata", { totalTokens: 1, metadata: [1] }],
  ["a member there is not", { totalTokens: 1, cost: 1 }],
  ["an empty kind", { totalTokens: 1, kind: "" }],
])("%s is refused, and nothing is recorded", async (_, more) => {
  const lease = await db.begun();
  await expect(record(lease, more)).rejects.toMatchObject({ code: "input_invalid" });
  expect(await lastSeq(lease)).toBe(2);
});

test("totalTokens is what was given, else input and output together", async () => {
  const lease = await db.begun();
  const total = async (more: object) => (await record(lease, more)).record["totalTokens"];
  expect(await total({ inputTokens: 3 })).toBe(3);
  expect(await total({ outputTokens: 4 })).toBe(4);
  expect(await total({ inputTokens: 1e9, outputTokens: 1e9 })).toBe(2e9);
  expect(await total({ inputTokens: 3, outputTokens: 4, totalTokens: 9 })).toBe(9);
  expect(await total({ costUsd: "1" })).toBeNull();
});

test("text is kept to the digit, and a number is its shortest decimal of twelve places", async () => {
  const lease = await db.begun();
  const cost = async (costUsd: string | number) =>
    (await record(lease, { costUsd })).record["costUsd"];
  expect(await cost("999999999999.999999999999")).toBe("999999999999.999999999999");
  expect(await cost("0.100000000001")).toBe("0.100000000001");
  expect(await cost("007.50")).toBe("7.5");
  expect(await cost("0")).toBe("0");
  expect(await cost(0.1 + 0.2)).toBe("0.3");
  expect(await cost(3 * 0.0000003)).toBe("0.0000009");
  expect(await cost(1e-7)).toBe("0.0000001");
  expect(await cost(123_456_789_012.1)).toBe("123456789012.1");
  for (const [given, text] of [
    [5e-13, "0.000000000001"],
    [4e-13, "0.000000000000"],
    [5e-324, "0.000000000000"],
    [-0, "0.000000000000"],
  ] as const)
    expect(decimalText(given)).toBe(text);
});

test("sums of 10,000 random decimals are exact to the last digit", async () => {
  const seed = Number(process.env["TIDEBASE_TEST_SEED"] ?? Date.now() % 2 ** 32);
  console.log(`decimals: seed ${seed}`);
  let state = seed >>> 0;
  const next = (below: number): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0; // Numerical Recipes' generator
    return Math.floor((state / 2 ** 32) * below);
  };
  const digits = (n: number): string => Array.from({ length: n }, () => next(10)).join("");
  const lease = await db.begun();
  const costs = Array.from({ length: 10_000 }, () => {
    const places = next(13);
    return `${digits(1 + next(12))}${places === 0 ? "" : `.${digits(places)}`}`;
  });
  const items = costs.map((costUsd, n) => ({
    ...{ ...lease, kind: "llm", costUsd, model: `m${n % 3}`, quantity: costUsd, unit: `u${n % 2}` },
  }));
  await db.pool.query(usage.record.text, bindItems(usage.record.parameters, items));
  const { total, groups } = await totals({ runId: lease.runId, by: "model" });
  expect(total).toMatchObject({ records: 10_000, costUsd: sumOf(costs) });
  for (const { group, costUsd } of groups)
    expect(costUsd).toBe(sumOf(costs.filter((_, n) => `m${n % 3}` === group)));
  expect(total["quantities"]).toEqual(
    ["u0", "u1"].map((unit, rest) => ({
      ...{ unit, quantity: sumOf(costs.filter((_, n) => n % 2 === rest)) },
    })),
  );
});

/** The sum of decimals, by whole numbers of 1e-12, without trailing zeros. */
function sumOf(decimals: readonly string[]): string {
  const sum = decimals.reduce((total, decimal) => {
    const [whole = "", fraction = ""] = decimal.split(".");
    return total + BigInt(whole + fraction.padEnd(12, "0"));
  }, 0n);
  const text = sum.toString().padStart(13, "0");
  return `${text.slice(0, -12)}.${text.slice(-12)}`.replace(/\.?0+$/, "");
}

test("totals of a tree are those of a run, its children and theirs", async () => {
  const root = await begin("root");
  const child = await begin("child", root);
  const detached = await begin("other", root);
  const grandchild = await begin("leaf", child);
  const stranger = await begin("root");
  for (const [n, lease] of [root, child, detached, grandchild, stranger].entries())
    await record(lease, { inputTokens: 10 ** n, costUsd: `0.${"0".repeat(n)}1` });
  const tree = async ({ runId }: Lease, more: object = {}) =>
    (await totals({ runId, tree: "true", ...more })).total;
  expect(await tree(root)).toMatchObject({ records: 4, inputTokens: 1111, costUsd: "0.1111" });
  expect(await tree(child)).toMatchObject({ records: 2, inputTokens: 1010 });
  expect(await tree(grandchild)).toMatchObject({ records: 1, inputTokens: 1000 });
  expect(await tree(root, { workflow: "leaf" })).toMatchObject({ records: 1, inputTokens: 1000 });
  const alone = await totals({ runId: root.runId });
  expect(alone.total).toMatchObject({ records: 1, inputTokens: 1 });
  const { groups } = await totals({ runId: root.runId, tree: "true", by: "workflow" });
  expect(groups.map(({ group }) => group)).toEqual(["root", "child", "other", "leaf"]);
  await expect(totals({ tree: "true" })).rejects.toMatchObject({ code: "input_invalid" });
});

test("totals are grouped, the dearest first, and say what the rest is", async () => {
  const lease = await begin("grouped");
  await record(lease, { provider: "a", model: "m1", label: "x", costUsd: "0.2", totalTokens: 5 });
  await record(lease, { provider: "b", model: "m2", costUsd: "0.3", kind: "search" });
  await record(lease, { provider: "a", model: "m3", totalTokens: 7 });
  await record(lease, { quantity: 2, unit: "page" });
  await record(lease, { quantity: "0.5", unit: "page" });
  await record(lease, { quantity: 3 });
  const by = async (group: string, more: object = {}) => {
    const answer = await totals({ workflow: "grouped", by: group, ...more });
    return { ...answer, names: answer.groups.map((row) => [row.group, row.costUsd, row.records]) };
  };
  const whole = { records: 6, withoutCost: 4, costUsd: "0.5", totalTokens: 12 };
  const quantities = [
    { unit: "page", quantity: "2.5" },
    { unit: null, quantity: "3" },
  ];
  const providers = await by("provider");
  expect(providers.total).toMatchObject({ ...whole, quantities, moreUnits: false });
  expect(providers.names).toEqual([
    ["b", "0.3", 1],
    ["a", "0.2", 2],
    [null, "0", 3],
  ]);
  expect((await by("kind")).names).toEqual([
    ["search", "0.3", 1],
    ["llm", "0.2", 5],
  ]);
  expect((await by("label")).names).toEqual(
    [
      ["x", "0.2", 1],
      [null, "0.3", 5],
    ].reverse(),
  );
  expect((await by("model")).names.slice(0, 3)).toEqual([
    ...[
      ["m2", "0.3", 1],
      ["m1", "0.2", 1],
      ["m3", "0", 1],
    ],
  ]);
  expect((await by("workflow")).names).toEqual([["grouped", "0.5", 6]]);
  const short = await by("model", { limit: 1 });
  expect(short).toMatchObject({ names: [["m2", "0.3", 1]], more: true, total: whole });
  expect(await totals({ workflow: "grouped" })).toMatchObject({
    ...{ total: whole, groups: [], more: false, since: null, until: null },
  });
});

test("twenty units are shown, and that there are more", async () => {
  const lease = await db.begun();
  for (let n = 0; n < 21; n++) await record(lease, { quantity: 1, unit: `unit ${n}` });
  const { total } = await totals({ runId: lease.runId });
  expect(total).toMatchObject({ records: 21, moreUnits: true });
  expect(total["quantities"]).toHaveLength(20);
});

test("a day begins at midnight of UTC by the database's clock, wherever its session is", async () => {
  await db.pool.query(
    `update tidebase.clock set shift = timestamptz '2031-05-06 23:59:50Z' - clock_timestamp()`,
  );
  const early = await begin("days");
  await record(early, { costUsd: "1" });
  await db.advance("20 seconds");
  const late = await begin("days");
  await record(late, { costUsd: "2" });
  const days = async (more: object = {}) => {
    const { groups, more: rest } = await totals({ workflow: "days", by: "day", ...more });
    return [groups.map(({ group, costUsd }) => [group, costUsd]), rest];
  };
  expect(await days()).toEqual([
    [
      ["2031-05-07", "2"],
      ["2031-05-06", "1"],
    ],
    false,
  ]);
  const client = await db.pool.connect();
  await client.query("set timezone = 'Pacific/Auckland'"); // the 7th for both
  const asked = bind(usage.totalsOfWorkflows.parameters, { workflow: "days", by: "day", limit: 9 });
  const { rows } = await client.query(usage.totalsOfWorkflows.text, asked);
  client.release(true);
  expect(rows[0].groups).toMatchObject([{ group: "2031-05-07" }, { group: "2031-05-06" }]);
  expect(await days({ limit: 1 })).toEqual([[["2031-05-07", "2"]], true]);
  expect(await days({ until: "2031-05-07" })).toEqual([[["2031-05-06", "1"]], false]);
  expect(await days({ since: "2031-05-07" })).toEqual([[["2031-05-07", "2"]], false]);
  expect(await days({ since: "2031-05-07T12:00:00+12:00" })).toEqual([
    [["2031-05-07", "2"]],
    false,
  ]);
  expect(await days({ since: "1m" })).toMatchObject([{ length: 2 }, false]);
  await db.advance("2 hours");
  expect(await days({ since: "1h" })).toEqual([[], false]);
  expect(await days({ since: "1d", until: "1h" })).toMatchObject([{ length: 2 }, false]);
  expect((await totals({ since: "2h" })).since).toMatch(/^2031-05-07T00:0/);
  await db.pool.query("update tidebase.clock set shift = interval '0'");
});

test("a range of time begins with its first instant and ends before its last", async () => {
  const lease = await begin("edges");
  const midnight = "2031-09-01T00:00:00.000Z";
  await record(lease, { totalTokens: 1 });
  await db.pool.query("update tidebase.usage set at = $2 where run_id = $1", [
    ...[lease.runId.slice(4), midnight],
  ]);
  for (const which of [{ workflow: "edges" }, { runId: lease.runId }]) {
    expect((await totals({ ...which, since: midnight })).total.records).toBe(1);
    expect((await totals({ ...which, until: midnight })).total.records).toBe(0);
  }
});

test("a time that is none is refused", async () => {
  for (const since of [
    "yesterday",
    "2026-02-30",
    "24",
    "2026-11-01 12:00",
    "24y",
    "",
    "0000-01-01",
    "9999-01-01",
    "999999w",
  ])
    await expect(totals({ since })).rejects.toMatchObject({ code: "input_invalid" });
  expect(readMoment("2026-11-01")).toEqual({ at: "2026-11-01T00:00:00.000Z" });
  expect(readMoment("90m")).toEqual({ agoMs: 5_400_000 });
});

test("a list is paged by number, and by the weight of its metadata", async () => {
  const lease = await db.begun();
  const heavy = { metadata: { text: "x".repeat(1_000_000) } };
  for (let n = 0; n < 6; n++) await record(lease, { totalTokens: n, ...(n < 5 ? heavy : {}) });
  const page = (more: object) => db.call("usage.list", { runId: lease.runId, ...more });
  const seqs = ({ records }: Record<string, unknown>) =>
    (records as { seq: number }[]).map(({ seq }) => seq);
  const first = await page({});
  expect(seqs(first)).toEqual([3, 4, 5]);
  expect(first["nextAfterSeq"]).toBe(5);
  const second = await page({ afterSeq: 5 });
  expect(seqs(second)).toEqual([6, 7, 8]);
  expect(second["nextAfterSeq"]).toBeNull();
  expect(await page({ limit: 2, afterSeq: 6 })).toMatchObject({ nextAfterSeq: null });
  expect(await page({ limit: 1, afterSeq: 6 })).toMatchObject({ nextAfterSeq: 7 });
});

test("a fork does not count again what its source had recorded by then, but what it spends anew", async () => {
  const source = await db.begun();
  const keyed = (lease: Lease, writeKey: string) => record(lease, { costUsd: "1", writeKey });
  const complete = (name: string) =>
    db.call("steps.complete", { items: [{ ...source, name, output: 1 }] });
  await complete("a");
  await keyed(source, "run:v1:a:1");
  await keyed(source, "step:v1:b:1");
  await complete("b");
  await keyed(source, "run:v1:b:1");
  const fork = async (runId: string, more: object): Promise<Lease> => {
    const made = await db.call("runs.fork", { runId, dryRun: false, ...more });
    const [forkId, grantId] = [String(made["runId"]), newGrant()];
    const { epoch } = await db.call("runs.begin", { runId: forkId, grantId });
    return { runId: forkId, epoch: Number(epoch), grantId };
  };
  const child = await fork(source.runId, { from: { name: "b" } });
  const first = await keyed(child, "run:v1:a:1");
  expect(first).toMatchObject({ recorded: true, record: { runId: source.runId } });
  expect(await keyed(child, "step:v1:b:1")).toMatchObject({ recorded: false });
  expect(await keyed(child, "run:v1:b:1")).toMatchObject({ recorded: false });
  const { lastSeq: seq } = await db.call("events.list", { runId: child.runId });
  const grandchild = await fork(child.runId, { atSeq: seq });
  for (const key of ["run:v1:a:1", "run:v1:b:1"])
    expect(await keyed(grandchild, key), key).toMatchObject({ recorded: true });
  const amid = await fork(child.runId, { atSeq: 1 });
  expect(await keyed(amid, "run:v1:a:1")).toMatchObject({ recorded: false });
  const rerun = await fork(source.runId, {});
  expect(await keyed(rerun, "run:v1:a:1")).toMatchObject({ recorded: false });
});

test("usage_view tells the same in SQL, with the workflow", async () => {
  const lease = await begin("viewed");
  await record(lease, { model: "m", inputTokens: 5, costUsd: "0.25", metadata: { a: 1 } });
  const { rows } = await db.pool.query(
    "select * from tidebase.usage_view where workflow = 'viewed'",
  );
  expect(rows).toMatchObject([
    {
      ...{ run_id: lease.runId, seq: "3", kind: "llm", provider: null, model: "m" },
      ...{ input_tokens: "5", total_tokens: "5", cost_usd: "0.25", metadata: '{"a":1}' },
    },
  ]);
});

test("totals over all runs read a range of time by its index, on any size of store", async () => {
  const client = await db.pool.connect();
  const names = usage.totalsOfStore.parameters.map(({ name }) => name);
  const values = names.map((name) =>
    name === "since" ? "'2031-01-01'" : name === "limit" ? "9" : "null",
  );
  await client.query(`prepare spend as ${usage.totalsOfStore.text}`);
  for (const mode of ["force_generic_plan", "force_custom_plan"]) {
    await client.query(`set plan_cache_mode = ${mode}`);
    const { rows } = await client.query(
      `explain (format json) execute spend (${values.join(", ")})`,
    );
    expect(JSON.stringify(rows), mode).toContain('"Index Name":"usage_at"');
  }
  client.release(true);
});
