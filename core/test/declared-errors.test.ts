import { expect, test } from "vitest";
import { operations } from "../src/index.ts";
import { newGrant, useDatabase } from "./support/database.ts";

const db = useDatabase();
const NOBODY = "run_00000000-0000-7000-8000-000000000000";
const LARGE = "x".repeat(1_100_000);

async function foreign(): Promise<object> {
  return { ...(await db.begun()), grantId: newGrant() };
}
async function cancelled(): Promise<{ runId: string; epoch: number; grantId: string }> {
  const lease = await db.begun();
  await db.cancel(lease.runId);
  return lease;
}
async function completed(): Promise<string> {
  const lease = await db.begun();
  await db.call("runs.complete", lease);
  return lease.runId;
}
const unknown = () => ({ runId: NOBODY, epoch: 1, grantId: newGrant() });

/** What a worker's write is refused for; `more` is what the operation needs besides the lease. */
const refusals = (more: object): Record<string, () => Promise<object>> => ({
  run_not_found: async () => ({ ...unknown(), ...more }),
  run_cancelled: async () => ({ ...(await cancelled()), ...more }),
  lease_lost: async () => ({ ...(await foreign()), ...more }),
});
const onRun = async (runId: Promise<string> | string, more: object = {}) => ({
  runId: await runId,
  ...more,
});
const error = { message: "x" };
const review = { name: "s", decision: "retry", reason: "looked", dryRun: false };

/** How to provoke each declared error: an input that is refused with it. */
const provoked: Record<string, Record<string, () => Promise<object>>> = {
  "runs.create": {
    idempotency_conflict: async () => {
      await db.call("runs.create", { workflow: "w", idempotencyKey: "k", input: 1 });
      return { workflow: "w", idempotencyKey: "k", input: 2 };
    },
    payload_too_large: async () => ({ workflow: "w", metadata: { LARGE } }),
  },
  "runs.begin": {
    run_not_found: () => onRun(NOBODY, { grantId: newGrant() }),
    run_leased: async () => onRun((await db.begun()).runId, { grantId: newGrant() }),
    run_cancelled: async () => onRun((await cancelled()).runId, { grantId: newGrant() }),
    workflow_mismatch: async () => onRun(db.pending(), { grantId: newGrant(), workflow: "other" }),
  },
  "runs.release": refusals({}),
  "runs.complete": {
    ...refusals({}),
    payload_too_large: async () => ({ ...(await db.begun()), result: LARGE }),
  },
  "runs.fail": {
    ...refusals({ error }),
    payload_too_large: async () => ({ ...(await db.begun()), error: { message: LARGE } }),
  },
  "runs.get": { run_not_found: () => onRun(NOBODY) },
  "runs.list": { cursor_invalid: async () => ({ cursor: "x" }) },
  "runs.verdict": { run_not_found: () => onRun(NOBODY) },
  "runs.recover": {
    run_not_found: () => onRun(NOBODY),
    run_completed: () => onRun(completed()),
    run_cancelled: async () => onRun((await cancelled()).runId),
    run_leased: async () => onRun((await db.begun()).runId),
    run_waiting: async () => {
      const { runId } = await db.begun();
      const text =
        "update tidebase.runs set status = 'waiting', lease_expires_at = null where run_id = $1";
      await db.pool.query(text, [runId.slice(4)]);
      return { runId };
    },
    run_changed: () => onRun(db.pending(), { asOf: 99 }),
  },
  "steps.review": {
    run_not_found: () => onRun(NOBODY, review),
    step_not_found: () => onRun(db.pending(), review),
    step_not_in_review: async () => {
      const lease = await db.begun();
      await db.call("steps.begin", { items: [{ ...lease, name: "s" }] });
      return onRun(lease.runId, review);
    },
    run_completed: () => onRun(completed(), review),
    run_cancelled: async () => onRun((await cancelled()).runId, review),
    run_changed: () => onRun(db.pending(), { ...review, asOf: 99 }),
    payload_too_large: () =>
      onRun(db.pending(), { ...review, decision: "completed", output: LARGE }),
  },
  "steps.journal": { run_not_found: () => onRun(NOBODY) },
  "steps.list": { run_not_found: () => onRun(NOBODY) },
  "steps.get": { step_not_found: () => onRun(db.pending(), { name: "s" }) },
  "state.write": {
    ...refusals({ kind: "set", value: 1 }),
    version_conflict: async () => ({
      ...(await db.begun()),
      kind: "set",
      value: 1,
      expectVersion: 7,
    }),
    payload_too_large: async () => ({ ...(await db.begun()), kind: "set", value: LARGE }),
  },
  "state.label": {
    ...refusals({ label: "l" }),
    version_not_found: async () => ({ ...(await db.begun()), label: "l" }),
  },
  "state.read": {
    run_not_found: () => onRun(NOBODY),
    version_not_found: () => onRun(db.pending(), { version: 1 }),
  },
  "state.versions": { run_not_found: () => onRun(NOBODY) },
  "state.diff": {
    run_not_found: () => onRun(NOBODY, { from: 1, to: 1 }),
    version_not_found: () => onRun(db.pending(), { from: 1, to: 1 }),
  },
  "state.streams": { run_not_found: () => onRun(NOBODY) },
  "events.list": { run_not_found: () => onRun(NOBODY) },
  "keys.revoke": {
    key_not_found: async () => ({ keyId: "key_00000000-0000-7000-8000-000000000000" }),
  },
};

/** `input_refused` is what Postgres says of a value that no schema let through: a last line of defence. */
const declared = operations.flatMap(({ name, errors }) =>
  errors.filter((code) => code !== "input_refused").map((code) => [name, code] as const),
);

test.each(declared)("%s can be refused with %s", async (name, code) => {
  const input = await provoked[name]?.[code]?.();
  expect(input, "say here how to provoke it").toBeDefined();
  await expect(db.call(name, input ?? {})).rejects.toMatchObject({ code });
});
