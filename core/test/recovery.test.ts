import { expect, test } from "vitest";
import { oneLine } from "../src/payload.ts";
import { newGrant, useDatabase } from "./support/database.ts";

const db = useDatabase();
const effect = { contract: { sideEffects: ["payment"] } };
const verdictOf = (runId: string) => db.call("runs.verdict", { runId });

/** A run whose worker died after `done`, inside `open`. */
async function crashed(open: object): Promise<{ runId: string; epoch: number; grantId: string }> {
  const lease = await db.begun();
  await db.call("steps.complete", { items: [{ ...lease, name: "done", output: 1 }] });
  await db.call("steps.begin", { items: [{ ...lease, name: "open", ...open }] });
  await db.advance("2 minutes");
  return lease;
}

test("a live lease outweighs everything: in progress, even with a step that would need review", async () => {
  const lease = await db.begun();
  await db.call("steps.begin", { items: [{ ...lease, name: "open", ...effect }] });
  expect(await verdictOf(lease.runId)).toMatchObject({
    answer: "in_progress",
    next: { action: "wait" },
  });
});

test("a step with an unknown effect needs review once nobody works on the run; the claim names its events", async () => {
  const { runId } = await crashed(effect);
  const verdict = await verdictOf(runId);
  expect(verdict).toMatchObject({
    answer: "needs_review",
    next: { action: "review_step", step: { name: "open", key: "" } },
    completedSteps: 1,
    steps: [
      {
        name: "open",
        status: "manual_review",
        reason: "unknown_outcome",
        sideEffects: ["payment"],
        wouldRunAgain: false,
        eventSeqs: [4],
      },
    ],
  });
});

test("an unfinished step without effects, or with an idempotency key, is safe to run again", async () => {
  const reads = await crashed({ contract: { sideEffects: ["read"] } });
  expect(await verdictOf(reads.runId)).toMatchObject({
    answer: "safe",
    steps: [{ wouldRunAgain: true }],
  });
  const keyed = await crashed({ contract: { sideEffects: ["payment"], idempotencyKey: "k" } });
  expect(await verdictOf(keyed.runId)).toMatchObject({
    answer: "safe",
    steps: [{ idempotencyKey: "k", why: expect.stringContaining("idempotency key") }],
  });
});

test("the next action is the command of the resume hint, when there is one", async () => {
  const runId = await db.pending();
  const resumeHint = { command: ["node", "agent.js"], cwd: "/srv/agent" };
  const { epoch } = await db.call("runs.begin", { runId, grantId: newGrant(), resumeHint });
  expect(epoch).toBe(1);
  await db.advance("2 minutes");
  expect(await verdictOf(runId)).toMatchObject({
    answer: "safe",
    next: { action: "invoke", ...resumeHint },
  });
});

test("a final run is final", async () => {
  const lease = await db.begun();
  await db.complete(lease, { result: 1 });
  expect(await verdictOf(lease.runId)).toMatchObject({ answer: "final", next: { action: "none" } });
});

test("a dry run changes nothing, and the act that carries its number back is done once", async () => {
  const { runId } = await crashed({});
  const dry = await db.call("runs.recover", { runId });
  expect(dry).toMatchObject({
    dryRun: true,
    status: "running",
    replayedSteps: 1,
    runAgain: [{ name: "open" }],
    held: [],
  });
  expect(await db.call("runs.recover", { runId })).toEqual(dry);
  const act = { runId, dryRun: false, asOf: dry["seq"], reason: "looked at it" };
  const done = await db.call("runs.recover", act);
  expect(done).toMatchObject({ dryRun: false, status: "pending", seq: Number(dry["seq"]) + 1 });
  expect(await db.call("runs.recover", act)).toEqual(done); // as after a lost answer
  const stale = db.call("runs.recover", { runId, dryRun: false, asOf: dry["seq"] });
  await expect(stale).rejects.toMatchObject({ code: "run_changed" });
  const { events } = await db.call("events.list", { runId, types: ["recovery.requested"] });
  expect(events).toMatchObject([{ data: { actor: "local", reason: "looked at it" } }]);
});

test("an act that is sent again while the first still waits finds what that one did", async () => {
  const { runId } = await crashed(effect);
  const { seq: asOf } = await db.call("runs.verdict", { runId });
  const release = await db.hold(runId);
  const review = { runId, name: "open", decision: "retry", reason: "looked", dryRun: false, asOf };
  const reviews = [1, 2].map(() => db.call("steps.review", review));
  await db.blocked(2);
  await release();
  const [first, second] = await Promise.all(reviews);
  expect(second).toEqual(first);
  const again = await db.hold(runId);
  const recover = { runId, dryRun: false, asOf: first?.["seq"] };
  const recoveries = [1, 2].map(() => db.call("runs.recover", recover));
  await db.blocked(2);
  await again();
  const [one, other] = await Promise.all(recoveries);
  expect(other).toEqual(one);
});

test("recover ends the lease of a vanished worker, and gives a fresh budget", async () => {
  const lease = await crashed({});
  await db.call("runs.recover", { runId: lease.runId, dryRun: false });
  const { results } = await db.call("steps.complete", {
    items: [{ ...lease, name: "open", output: 1 }],
  });
  expect(results).toEqual([{ outcome: "lease_lost" }]);
  expect(await db.call("runs.begin", { runId: lease.runId, grantId: newGrant() })).toMatchObject({
    attempts: 0,
  });
});

test("recover is refused on a live run with its holder, and on a final one", async () => {
  const runId = await db.pending();
  const grantId = newGrant();
  await db.call("runs.begin", { runId, grantId, holder: { host: "h", pid: 7 } });
  const live = db.call("runs.recover", { runId });
  await expect(live).rejects.toMatchObject({
    code: "run_leased",
    data: { leaseLeftMs: expect.any(Number) },
  });
  await db.complete({ runId, epoch: 1, grantId });
  await expect(db.call("runs.recover", { runId })).rejects.toMatchObject({ code: "run_completed" });
  const { runId: cancelled } = await db.begun();
  await db.cancel(cancelled);
  await expect(db.call("runs.recover", { runId: cancelled })).rejects.toMatchObject({
    code: "run_cancelled",
  });
});

test.each([
  ["retry", "failed_retryable", "execute"],
  ["completed", "completed", "replayed"],
  ["failed", "failed", "step_failed"],
])(
  "a review that says %s makes the step %s, and its next begin %s",
  async (decision, becomes, outcome) => {
    const { runId } = await crashed(effect);
    const asked = { runId, name: "open", decision, reason: "asked the bank" };
    const dry = await db.call("steps.review", asked);
    expect(dry).toMatchObject({ dryRun: true, status: "begun", becomes });
    const settled = { ...asked, output: { charged: true }, dryRun: false, asOf: dry["seq"] };
    const done = await db.call("steps.review", settled);
    expect(done).toMatchObject({ status: becomes });
    expect(await db.call("steps.review", settled)).toEqual(done); // as after a lost answer
    const other = db.call("steps.review", { ...settled, reason: "guessed" });
    await expect(other).rejects.toMatchObject({ code: "run_changed" });
    const grantId = newGrant();
    const { epoch } = await db.call("runs.begin", { runId, grantId });
    const begin = { runId, epoch, grantId, name: "open", attempt: 2, ...effect };
    expect((await db.call("steps.begin", { items: [begin] }))["results"]).toMatchObject([
      decision === "completed" ? { outcome, output: { charged: true } } : { outcome },
    ]);
    expect(await db.call("steps.review", settled)).toMatchObject({ becomes });
    const { events } = await db.call("events.list", { runId, types: ["step.reviewed"] });
    expect(events).toMatchObject([
      { data: { name: "open", decision, actor: "local", reason: "asked the bank" } },
    ]);
  },
);

test("a review is refused for a step in progress, a settled one, an unknown one, and a run that moved", async () => {
  const lease = await db.begun();
  await db.call("steps.begin", { items: [{ ...lease, name: "open", ...effect }] });
  const review = (name: string, more = {}) =>
    db.call("steps.review", {
      runId: lease.runId,
      name,
      decision: "retry",
      reason: "x",
      dryRun: false,
      ...more,
    });
  await expect(review("open")).rejects.toMatchObject({
    code: "step_not_in_review",
    data: { stepStatus: "begun" },
  });
  await expect(review("nothing")).rejects.toMatchObject({ code: "step_not_found" });
  await db.call("runs.release", { ...lease });
  await expect(review("open", { asOf: 1 })).rejects.toMatchObject({ code: "run_changed" });
  await review("open");
  await expect(review("open")).rejects.toMatchObject({ code: "step_not_in_review" });
});

test("a message of somebody else's becomes one storable line", () => {
  expect(oneLine("a\u0000b\nc\ud800d")).toBe("a b c d");
  expect([...oneLine("😀".repeat(600))]).toHaveLength(500);
});

test("no step of a final run is said to run again", async () => {
  const lease = await db.begun();
  await db.call("steps.begin", { items: [{ ...lease, name: "s" }] });
  await db.call("runs.cancel", { runId: lease.runId });
  const { verdict } = await db.call("runs.get", { runId: lease.runId });
  expect(verdict).toMatchObject({
    answer: "final",
    steps: [{ name: "s", wouldRunAgain: false, why: "Its run has ended for good." }],
  });
});
