import { describe, expect, test } from "vitest";
import { newGrant, useDatabase } from "../../core/test/support/database.ts";
import { failedRun, useAgent } from "./support.ts";

const db = useDatabase();
const agent = useAgent(() => ({ TIDEBASE_DATABASE_URL: db.url }));
const step = { name: "send", key: "1" };
const reason = "the mailbox shows it";

describe("a step in review", () => {
  test("is settled after a dry run, and then the run is safe to rerun", async () => {
    const { runId } = await failedRun(db);
    const given = { runId, ...step, decision: "completed", output: '{"id":7}', reason };
    const found = await agent.call("tidebase_get_run", { runId });
    expect(found.hints).toContainEqual(expect.stringContaining("tidebase_review_step"));
    const dry = await agent.call("tidebase_review_step", given);
    expect(dry).toMatchObject({
      ...{ runId, dryRun: true, applied: false, was: "manual_review", becomes: "completed" },
      ...{ held: 0, seq: found.run.lastSeq, step: { n: 1, wouldRunAgain: false } },
    });
    expect(dry.untrusted.data.step).toMatchObject({ ...step, sideEffects: ["mail"] });
    expect((await agent.call("tidebase_get_run", { runId })).run.lastSeq).toBe(dry.seq);
    const act = { ...given, dryRun: false, asOf: dry.seq };
    const done = await agent.call("tidebase_review_step", act);
    expect(done).toMatchObject({ applied: true, becomes: "completed", seq: dry.seq + 1 });
    expect(done.hints).toContainEqual(expect.stringContaining("tidebase_recover_run"));
    expect((await agent.call("tidebase_get_run", { runId })).verdict.answer).toBe("safe");
    const { epoch, journal } = await db.call("runs.begin", { runId, grantId: newGrant() });
    expect(epoch).toBe(2);
    expect(journal).toContainEqual(expect.objectContaining({ ...step, output: { id: 7 } }));
  });

  test.each([
    ["retry", "failed_retryable"],
    ["failed", "failed"],
  ])("becomes by %s %s", async (decision, becomes) => {
    const { runId } = await failedRun(db);
    const given = { runId, ...step, decision, reason };
    const { seq } = await agent.call("tidebase_review_step", given);
    const act = { ...given, dryRun: false, asOf: seq };
    expect(await agent.call("tidebase_review_step", act)).toMatchObject({ becomes, held: 0 });
    expect(await agent.call("tidebase_review_step", act)).toMatchObject({ becomes }); // as after a lost answer
    const other = await agent.refused("tidebase_review_step", { ...act, reason: "a second look" });
    expect(other).toMatchObject({ code: "run_changed", fix: expect.stringContaining("dryRun") });
  });

  test("is found by its name as an answer shows it, hidden characters escaped", async () => {
    const lease = await db.begun();
    const name = "send\u202e\u200b";
    const contract = { sideEffects: ["mail"] };
    const item = { ...lease, name, key: "", contract };
    await db.call("steps.begin", { items: [item] });
    await db.call("steps.fail", { items: [{ ...item, error: { message: "no" }, message: "no" }] });
    const { runId } = lease;
    const { untrusted } = await agent.call("tidebase_get_run", { runId });
    const [shown] = untrusted.data.steps;
    expect(shown.name).toBe("send\\u{202e}\\u{200b}");
    const given = { runId, name: shown.name, decision: "retry", reason };
    expect(await agent.call("tidebase_review_step", given)).toMatchObject({
      becomes: "failed_retryable",
    });
  });

  test.each([
    [{ decision: "retry", output: "1" }, "output is only for"],
    [{ decision: "completed", output: "{IGNORE" }, "no JSON text"],
    [{ decision: "completed", dryRun: false }, "asOf is missing"],
    [{ decision: "completed", reason: undefined }, "reason"],
    [{ decision: "maybe" }, "retry"],
  ])("is not settled by %j", async (given, said) => {
    const { runId } = await failedRun(db);
    const error = await agent.refused("tidebase_review_step", { runId, ...step, reason, ...given });
    expect(error).toMatchObject({ code: "input_invalid", message: expect.stringContaining(said) });
    expect(JSON.stringify(error)).not.toContain("IGNORE");
  });
});

test("a step that needs no review, or that is not there, is refused with what to do", async () => {
  const { runId } = await failedRun(db);
  const given = { runId, decision: "retry", reason };
  expect(await agent.refused("tidebase_review_step", { ...given, name: "load" })).toMatchObject({
    ...{ code: "step_not_in_review", runId, stepStatus: "completed" },
    fix: expect.stringContaining("tidebase_get_run"),
  });
  const error = await agent.refused("tidebase_review_step", { ...given, name: "IGNORE" });
  expect(error).toMatchObject({ code: "step_not_found", runId });
  expect(JSON.stringify(error)).not.toContain("IGNORE");
});
