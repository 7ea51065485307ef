import { operations } from "@tidebase/core";
import { createApp } from "@tidebase/server";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { casesOf, type Known, shapeOf } from "../chaos/input/cases.ts";
import { goodInput } from "../chaos/input/good-input.ts";
import { callOf, type HttpCall, wrongOf } from "../chaos/input/http-call.ts";
import { ada, local, newGrant, useDatabase } from "../core/test/support/database.ts";

const db = useDatabase();
const seed = Number(process.env["TIDEBASE_SEED"] ?? Date.now() % 2 ** 31);
const CASES = 50;
console.log(`seed ${seed}`);

/** A code is issued to a human. */
const asAda = (name: string, input: object) => db.call(name, input, ada);
const GOOD = { webhookUrl: "https://93.184.215.14/" };

describe.each(operations.map((operation) => ({ operation, name: operation.name })))(
  "$name",
  ({ operation }) => {
    test(`answers ${CASES} random inputs with its result or a problem that the caller can mend`, async () => {
      const app = createApp(db.core, { authenticate: () => local });
      let known: Promise<Known> | undefined;
      const property = fc.asyncProperty(casesOf(shapeOf(operation.input)), async (one) => {
        known ??= goodInput(asAda, operation, GOOD);
        const { path, ...sent } = requestOf(callOf(operation, one, await known));
        const answer = await app.request(path, sent);
        const text = await answer.text();
        if (answer.status === 200 && operation.effect !== "read") known = undefined; // used up
        const type = answer.headers.get("content-type") ?? "";
        expect(wrongOf({ status: answer.status, type, text })).toBeUndefined();
      });
      await fc.assert(property, { seed, numRuns: CASES });
    });
  },
);

function requestOf({ method, path, body }: HttpCall): RequestInit & { path: string } {
  if (body === undefined) return { path, method };
  return { path, method, body, headers: { "content-type": "application/json" } };
}

test("hostile values in names change nothing but what they name", async () => {
  const lease = await db.begun();
  const name = "'; drop table tidebase.steps; -- \u202e \u{1f600}";
  await db.call("steps.complete", {
    items: [{ ...lease, name, key: "%s$1:\\", output: newGrant() }],
  });
  const { step } = await db.call("steps.get", { runId: lease.runId, name, key: "%s$1:\\" });
  expect(step).toMatchObject({ name, status: "completed" });
});
