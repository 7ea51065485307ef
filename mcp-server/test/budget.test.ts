import { beforeAll, describe, expect, test } from "vitest";
import { useDatabase } from "../../core/test/support/database.ts";
import { type Answer, failedRun, useAgent } from "./support.ts";

const db = useDatabase();
const agent = useAgent(() => ({ TIDEBASE_DATABASE_URL: db.url }));

const LIST = 8000;
const DETAIL = 12_000;
const CAP = 18_000;

/** The answer, which costs no more than that many bytes. */
async function within(bytes: number, name: string, input: object): Promise<Answer> {
  const answer = await agent.call(name, input);
  expect(Buffer.byteLength(JSON.stringify(answer))).toBeLessThanOrEqual(bytes);
  return answer;
}

describe("a run with 10,000 events", () => {
  const STEPS = 9998;
  let runId = "";
  beforeAll(async () => {
    const begun = await db.begun();
    runId = begun.runId;
    for (let from = 0; from < STEPS; from += 1000) {
      const items = Array.from({ length: Math.min(1000, STEPS - from) }, (_, index) => ({
        ...begun,
        name: `step ${from + index} with a name of some length`,
        key: "",
        output: null,
      }));
      await db.call("steps.complete", { items });
    }
  }, 60_000);

  test("is told page by page within the budget, every event once and in order", async () => {
    const seen: number[] = [];
    for (let afterSeq: number | undefined = 0; afterSeq !== undefined; ) {
      const page: Answer = await within(LIST, "tidebase_list_events", {
        runId,
        afterSeq,
        limit: 200,
      });
      const { events, nextAfterSeq, truncated } = page;
      if (nextAfterSeq !== undefined && truncated !== undefined)
        expect(truncated).toEqual({
          field: "events",
          shown: events.length,
          total: expect.any(Number),
        });
      seen.push(...events.map(({ seq }: Answer) => seq));
      afterSeq = nextAfterSeq;
    }
    expect(seen).toEqual(Array.from({ length: STEPS + 2 }, (_, index) => index + 1));
  });

  test("is told in one answer within the budget, whatever is asked for", async () => {
    const include = ["steps", "events", "input", "result", "metadata"];
    const answer = await within(DETAIL, "tidebase_get_run", { runId, include });
    expect(answer.stepCounts.completed).toBe(STEPS);
    expect(answer.truncated).toMatchObject({ field: "recordedSteps", total: STEPS });
    await within(CAP, "tidebase_get_run", { runId, include, detail: "detailed" });
  });
});

describe("a run whose error has a megabyte", () => {
  let runId = "";
  beforeAll(async () => {
    ({ runId } = await failedRun(db, { message: `Refused: ${"äöü\u0007".repeat(40_000)}` }));
  });

  test.each([
    ["tidebase_get_run", {}, DETAIL],
    ["tidebase_get_run", { detail: "detailed", include: ["steps", "events", "input"] }, CAP],
    ["tidebase_list_events", {}, LIST],
    ["tidebase_list_events", { payload: "full" }, CAP],
    ["tidebase_recover_run", {}, DETAIL],
  ])("%s %j stays within its budget", async (name, input, bytes) => {
    await within(bytes, name, { runId, ...input });
  });

  test("says how much of the error is shown", async () => {
    const { truncated, untrusted } = await agent.call("tidebase_get_run", { runId });
    expect(truncated).toMatchObject({ field: "error", total: 160_009 });
    expect(untrusted.data.error).toMatch(/^MailError: Refused: äöü\\u\{7\}.*more characters\]$/);
  });
});

describe("a long list", () => {
  const COUNT = 50;
  beforeAll(async () => {
    for (let n = 0; n < COUNT; n++)
      await db.call("runs.create", {
        workflow: `${"long-name-".repeat(19)}${n}`,
        tags: Array.from({ length: 20 }, (_, tag) => `tag-${tag}-${"x".repeat(60)}`),
      });
  });

  test("is cut, and its cursor goes on after the last row shown", async () => {
    const seen: string[] = [];
    const filters = { status: ["pending"], limit: 50 };
    for (let cursor: string | undefined = ""; cursor !== undefined; ) {
      const page: Answer = await within(LIST, "tidebase_list_runs", {
        ...filters,
        ...(cursor === "" ? {} : { cursor }),
      });
      if (seen.length === 0)
        expect(page.truncated).toEqual({ field: "runs", shown: page.runs.length, total: COUNT });
      seen.push(...page.runs.map(({ runId }: Answer) => runId));
      cursor = page.nextCursor;
    }
    expect(new Set(seen).size).toBe(COUNT);
    expect(seen).toHaveLength(COUNT);
  });

  test("a cursor used with other filters is refused with what to do", async () => {
    const { nextCursor } = await agent.call("tidebase_list_runs", { status: ["pending"] });
    const error = await agent.refused("tidebase_list_runs", {
      status: ["failed"],
      cursor: nextCursor,
    });
    expect(error).toMatchObject({
      code: "cursor_invalid",
      fix: expect.stringContaining("filters"),
    });
  });
});

describe("a large state", () => {
  let runId = "";
  beforeAll(async () => {
    const begun = await db.begun();
    runId = begun.runId;
    const value = {
      log: Object.fromEntries(Array.from({ length: 5000 }, (_, n) => [n, `line ${n} "quoted" ✓`])),
      "a/b": { small: true },
      text: "x".repeat(300_000),
    };
    await db.call("state.write", { ...begun, kind: "set", value });
    const lines = Object.entries(value.log).map(([n, line]) => [n, `${line}!`]);
    const next = { ...value, log: Object.fromEntries(lines) };
    await db.call("state.write", { ...begun, kind: "set", value: next });
  });

  test("lists its members and sizes, the largest first, and is read on by path", async () => {
    const whole = await within(DETAIL, "tidebase_get_state", { runId });
    expect(whole.truncated).toMatchObject({ field: "value", total: expect.any(Number) });
    expect(whole.untrusted.data.members).toEqual([
      { path: "/text", kind: "string", bytes: 300_002 },
      { path: "/log", kind: "object", bytes: expect.any(Number) },
      { path: "/a~1b", kind: "object", bytes: 14 },
    ]);
    const small = await within(DETAIL, "tidebase_get_state", { runId, path: "/a~1b" });
    expect(JSON.parse(small.untrusted.data.value)).toEqual({ small: true });
    expect(small).not.toHaveProperty("truncated");
  });

  test("a large patch is cut by rows", async () => {
    const answer = await within(DETAIL, "tidebase_get_state", { runId, diffFrom: 1 });
    const { patch } = answer.untrusted.data;
    expect(answer.truncated).toEqual({ field: "patch", shown: patch.length, total: 5000 });
    const one = await within(DETAIL, "tidebase_get_state", {
      runId,
      diffFrom: 1,
      path: "/log/4999",
    });
    expect(one.untrusted.data.patch).toHaveLength(1);
  });
});

test("many unfinished steps are cut, and counted", async () => {
  const begun = await db.begun();
  const items = Array.from({ length: 150 }, (_, n) => ({
    ...begun,
    name: `step-${n}`,
    key: "k".repeat(150),
    contract: { sideEffects: ["mail", "charge"] },
  }));
  await db.call("steps.begin", { items });
  await db.advance("2 minutes");
  const { runId } = begun;
  const run = await within(DETAIL, "tidebase_get_run", { runId });
  expect(run.truncated).toEqual({ field: "steps", shown: run.steps.length, total: 150 });
  const plan = await within(DETAIL, "tidebase_recover_run", { runId });
  expect(plan.truncated).toMatchObject({ field: "steps", total: 150 });
});
