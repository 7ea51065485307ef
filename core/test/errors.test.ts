import { expect, test } from "vitest";
import { ERRORS, operations, TidebaseError, toProblem } from "../src/index.ts";

test("every operation's errors are in the one table, and every route and name is its own", () => {
  for (const { name, errors } of operations)
    for (const code of errors) expect(Object.hasOwn(ERRORS, code), `${name}: ${code}`).toBe(true);
  expect(new Set(operations.map(({ name }) => name)).size).toBe(operations.length);
  expect(new Set(operations.map(({ route }) => route)).size).toBe(operations.length);
});

test("a problem says what happened and what to do, and data cannot replace its members", () => {
  const error = new TidebaseError("run_leased", { leaseLeftMs: 5, code: "internal", status: 200 });
  expect(toProblem(error)).toMatchObject({ code: "run_leased", status: 409, leaseLeftMs: 5 });
});

test("whatever is not ours is internal and says nothing more", () => {
  const problem = toProblem(new Error("password=secret"));
  expect(problem).toMatchObject({ code: "internal", status: 500 });
  expect(JSON.stringify(problem)).not.toContain("secret");
});
