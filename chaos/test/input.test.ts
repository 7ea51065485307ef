import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { operations } from "@tidebase/core";
import fc from "fast-check";
import { afterAll, expect, test } from "vitest";
import { NEVER, tableProblems } from "../access/reach.ts";
import { casesOf, inputOf, shapeOf } from "../input/cases.ts";
import { changedTables } from "../input/fingerprint.ts";
import { callOf, wrongOf } from "../input/http-call.ts";
import { knownFrom } from "../input/known.ts";
import { watchLog } from "../input/log-watch.ts";
import { leftOut } from "../input/phases.ts";
import { openLedger } from "../input/rows.ts";
import { wrongOfTool } from "../input/tools.ts";
import { unchanged, untouched } from "../input/untouched.ts";

const seed = Number(process.env["TIDEBASE_SEED"] ?? Date.now() % 2 ** 31);
console.log(`seed ${seed}`);

const folders: string[] = [];
afterAll(() => Promise.all(folders.map((folder) => rm(folder, { recursive: true }))));

test("every operation stands once in the hand-written table of scopes, and declares no scope that it denies", () => {
  expect(tableProblems()).toEqual([]);
  expect(NEVER.work).toEqual(
    expect.arrayContaining(["gates.resolve", "keys.create", "runs.cancel"]),
  );
});

test("cases that are meant to be valid nearly always are, and every operation has hostile ones", () => {
  let [valid, fitting] = [0, 0];
  for (const operation of operations) {
    const cases = fc.sample(casesOf(shapeOf(operation.input)), { seed, numRuns: 40 });
    const meant = cases.filter(({ kind }) => kind === "valid");
    valid += meant.length;
    fitting += meant.filter((one) => operation.input.safeParse(inputOf(one, {})).success).length;
    expect(new Set(cases.map(({ kind }) => kind)).size, operation.name).toBeGreaterThan(2);
  }
  expect(fitting / valid).toBeGreaterThan(0.5);
});

test("a request carries what its case says, its path's parameters in the path", () => {
  const one = {
    kind: "valid" as const,
    members: { runId: { good: true, value: 0 }, reason: { good: false, value: "a/b" } },
  };
  const route = "POST /v1/runs/:runId/cancel";
  expect(callOf({ route }, one, { runId: "run_1" })).toEqual({
    method: "POST",
    path: "/v1/runs/run_1/cancel",
    body: '{"reason":"a/b"}',
  });
});

test("an answer that is neither a result nor a problem is found", () => {
  const type = "application/problem+json";
  const problem = { status: 400, code: "c", title: "t", detail: "d" };
  const text = JSON.stringify(problem);
  expect(wrongOf({ status: 400, type, text })).toBeUndefined();
  expect(wrongOf({ status: 200, type: "application/json", text: "{}" })).toBeUndefined();
  expect(wrongOf({ status: 500, type, text })).toContain("answered 500");
  expect(wrongOf({ status: 422, type, text })).toContain("no problem");
  expect(wrongOf({ status: 400, type: "text/html", text })).toContain("text/html");
  expect(wrongOf({ status: 200, type: "application/json", text: "" })).toContain("no JSON");
  const internal = JSON.stringify({ error: { code: "internal" } });
  expect(wrongOfTool({ result: { isError: true, content: [{ text: internal }] } })).toContain(
    "internal",
  );
  expect(wrongOfTool({ error: { code: -32_603, message: 'path: ["params"]' } })).toBeDefined();
  expect(wrongOfTool({ error: { code: -32_602 } })).toBeUndefined();
});

test("a log that repeats what was sent, or holds a control character, is found", async () => {
  const folder = await mkdtemp(join(tmpdir(), "tidebase-chaos-"));
  folders.push(folder);
  const path = join(folder, "log");
  const log = watchLog(path);
  log.close();
  await writeFile(path, '{"a":1}\nlistens\n{"a":\n\u001b[31m\n{"b":"mark"}\n');
  expect(log.problems()).toHaveLength(2);
  expect(log.problems(["mark"])).toHaveLength(3);
  expect(log.holding("listens")).toEqual(["listens"]);
});

/** A store of one table, and an operation that refuses everything and writes in spite of it, so many times. */
function writing(times: number) {
  let [rows, left] = [0, times];
  const look = async () => new Map([["runs", String(rows)]]);
  const send = async () => {
    if (left-- > 0) rows += 1;
    return { refused: true, shown: "400" };
  };
  const shape = { type: "object", properties: { name: { type: "string" } } };
  return {
    look,
    refusing: { name: "x", shape, reads: false, known: knownFrom(async () => ({})), send },
  };
}

test("a refused call that changes a row is found, and what does not happen again is counted apart", async () => {
  const always = writing(Number.POSITIVE_INFINITY);
  const found = await untouched(always.refusing, always.look, { cases: 2, seed });
  expect(found.problems).toEqual([
    expect.stringContaining("x changed runs"),
    expect.stringContaining("x changed runs"),
  ]);
  const once = writing(1);
  expect(await untouched(once.refusing, once.look, { cases: 2, seed })).toEqual({
    ...{ refused: 2, problems: [], unrepeated: 1 },
  });
});

test("refused requests that change something as a whole make their row red; what a full round leaves out is named", async () => {
  const ledger = openLedger();
  const { look, refusing } = writing(1);
  await unchanged({ ledger, look }, "B13", "requests", async () => void (await refusing.send()));
  await unchanged({ ledger, look }, "B14", "requests", async () => void (await refusing.send()));
  expect(ledger.problems).toEqual(["B13: requests changed runs"]);
  const sums = { tried: 9, admitted: 9, refused: 0, fewest: { cases: 9, name: "x" } };
  const left = leftOut(ledger, 10, [sums]);
  expect(left).toContain("B1 was not tried.");
  expect(left).not.toContain("B14 was not tried.");
  expect(left.at(-1)).toBe("Not every one got 10 cases: 9 (x).");
  expect(leftOut(ledger, 9, [sums]).at(-1)).toBe("B24 was not tried.");
});

test("a table whose content is another is named", () => {
  const before = new Map([
    ["runs", "1 a"],
    ["steps", "0"],
  ]);
  expect(changedTables(before, new Map([...before, ["runs", "1 b"]]))).toEqual(["runs"]);
});
