import { type AnyOperation, operations, toJson } from "@tidebase/core";
import { createApp } from "@tidebase/server";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { local, newGrant, useDatabase } from "../core/test/support/database.ts";

const db = useDatabase();
const seed = Number(process.env["TIDEBASE_SEED"] ?? Date.now() % 2 ** 31);
const CASES = 50;
console.log(`seed ${seed}`);

/** Values that have broken servers before, and any JSON value at all. */
const hostile = fc.oneof(
  fc.constantFrom<unknown>(
    null,
    "",
    "\u0000",
    "\ud800",
    "run_00000000-0000-7000-8000-000000000000",
    -1,
    0,
    0.5,
    2 ** 31,
    2 ** 53,
    1e300,
    Number.MIN_VALUE,
    [],
    {},
    "x".repeat(300),
    "'; drop table tidebase.runs; --",
    "9".repeat(400),
    "__proto__",
    "../../etc/passwd",
    "2026-02-30T00:00:00Z",
    "+275760-09-13T00:00:00.001Z",
  ),
  fc.jsonValue({ maxDepth: 3 }),
  fc.string({ unit: "binary" }),
);

/** What a good call could say for a member of this name, so that hostile values get far. */
async function good({ name }: AnyOperation): Promise<Record<string, unknown>> {
  const lease = await db.begun();
  const step = { ...lease, name: "s", output: 1, error: {}, message: "m" };
  const { gateId, digest } = await db.gate(lease, { name: "s", key: "k" });
  return {
    ...lease,
    ...{
      workflow: "w",
      items: itemsOf(name, lease, step),
      name: "s",
      key: "k",
      kind: "set",
      value: 1,
      label: "l",
    },
    ...{
      error: { message: "m" },
      decision: "retry",
      reason: "r",
      from: 1,
      to: 1,
      scopes: ["read"],
    },
    ...{ gateId, digest, prompt: "p", data: {}, risk: "low", expiresInMs: 5000, approvals: 2 },
    ...{ proof: { kind: "code", secret: "AAAA-AAAA" }, waits: { gates: [gateId] } },
    ...{ url: "https://93.184.215.14/", events: ["*"], invokes: true, decides: true },
    ...{ totalTokens: 3, costUsd: "0.1", unit: "page", quantity: 2, by: "day", tree: "true" },
    ...{ signal: "s", payload: 1, ms: 1, until: "2030-01-01T00:00:00Z" },
    ...{ queue: "q/1", limit: 2, waitMs: 1, workflows: ["w"], priority: 1, concurrency: 1 },
    ...{
      children: [{ name: "c", workflow: "w", queue: "q/1" }],
      dryRun: false,
      deadlineMs: 60_000,
    },
    ...{
      cron: "@daily",
      timezone: "Europe/Berlin",
      catchUp: "none",
      overlap: "skip",
      paused: true,
    },
  };
}

/** The items of those that take several. */
function itemsOf(name: string, lease: object, step: object): object[] {
  if (name === "runs.watch" || name === "runs.heartbeat") return [lease];
  if (name === "runs.enqueue") return [{ workflow: "w", queue: "q/1", dedupeKey: "k" }];
  const { error: _, message: __, ...completed } = step as Record<string, unknown>;
  return [completed];
}

/** Every member good or hostile, or left out; sometimes one that nobody declared. */
function inputs(
  names: string[],
): fc.Arbitrary<Record<string, "good" | { hostile: unknown } | undefined>> {
  const choice = fc.oneof(
    { weight: 3, arbitrary: fc.constant("good" as const) },
    { weight: 2, arbitrary: fc.record({ hostile }) },
  );
  const optional = Object.fromEntries([...names, "undeclared"].map((name) => [name, choice]));
  return fc.record(optional, { requiredKeys: [] });
}

describe.each(operations.map((operation) => ({ operation, name: operation.name })))(
  "$name",
  ({ operation }) => {
    const [method = "", template = ""] = operation.route.split(" ");

    test(`answers ${CASES} random inputs with its result or a problem that the caller can mend`, async () => {
      const app = createApp(db.core, { authenticate: () => local });
      const shared = operation.effect === "read" ? good(operation) : undefined; // nothing uses it up
      const property = fc.asyncProperty(
        inputs(Object.keys(operation.input.shape)),
        async (chosen) => {
          const known = await (shared ?? good(operation));
          const input = new Map<string, unknown>();
          for (const [name, value] of Object.entries(chosen)) {
            const filled = value === "good" ? known[name] : value?.hostile;
            if (filled !== undefined) input.set(name, filled);
          }
          const path = template.replace(/:(\w+)/g, (_, name: string) => {
            const value = input.get(name) ?? known[name] ?? "none";
            input.delete(name);
            return encodeURIComponent(
              typeof value === "string" ? wellFormed(value) || "-" : JSON.stringify(value),
            );
          });
          const answer = await app.request(...request(method, path, input));
          const text = await answer.text();
          expect([200, 400, 403, 404, 409, 413, 414, 422], `${answer.status} ${text}`).toContain(
            answer.status,
          );
          if (answer.status !== 200)
            expect(JSON.parse(text)).toMatchObject({
              code: expect.any(String),
              detail: expect.any(String),
            });
        },
      );
      await fc.assert(property, { seed, numRuns: CASES });
    });
  },
);

/** A lone surrogate has no place in a URL. */
function wellFormed(text: string): string {
  return text.replace(/\p{Surrogate}/gu, "\ufffd");
}

function request(method: string, path: string, input: Map<string, unknown>): [string, RequestInit] {
  if (method === "POST") {
    const headers = { "content-type": "application/json" };
    return [path, { method, headers, body: toJson(Object.fromEntries(input)) }];
  }
  const query = new URLSearchParams();
  for (const [name, value] of input)
    query.append(name, typeof value === "string" ? value : JSON.stringify(value));
  return [`${path}?${query}`, { method }];
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
