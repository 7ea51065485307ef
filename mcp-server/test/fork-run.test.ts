import { describe, expect, test } from "vitest";
import { newGrant, useDatabase } from "../../core/test/support/database.ts";
import { type Answer, failedRun, useAgent } from "./support.ts";

const db = useDatabase();
const agent = useAgent(() => ({ TIDEBASE_DATABASE_URL: db.url }));

async function runsOf(workflow: string): Promise<Answer[]> {
  return (await agent.call("tidebase_list_runs", { workflow })).runs;
}

/** The outputs that a worker of the run is given, by step. */
async function journalOf(runId: string): Promise<Answer> {
  const grantId = newGrant();
  const { epoch, journal } = await db.call("runs.begin", { runId, grantId });
  await db.call("runs.fail", { runId, epoch, grantId, error: { message: "seen" } });
  return Object.fromEntries((journal as Answer[]).map(({ name, output }) => [name, output]));
}

describe("a fork", () => {
  test("is planned, then made of exactly what was planned, and only once", async () => {
    const { runId } = await failedRun(db, { workflow: "forked" });
    const given = { runId, from: { name: "send", key: "1" }, reason: "the mail server is back" };
    const plan = await agent.call("tidebase_fork_run", given);
    expect(plan).toMatchObject({
      ...{ runId, dryRun: true, applied: false, status: "pending", keptSteps: 1 },
      ...{ runAgainSteps: 1, repeatedEffects: 1, gatesAskedAgain: 0 },
      runAgain: [{ n: 1, status: "manual_review", repeatsEffects: true }],
    });
    expect(plan).not.toHaveProperty("forkRunId");
    expect(plan.untrusted.data).toMatchObject({
      workflow: "forked",
      runAgain: [{ n: 1, name: "send", key: "1", sideEffects: ["mail"] }],
      resumeFolder: "/srv/report",
    });
    expect(plan.hints).toContainEqual(expect.stringContaining("Effects would happen once more"));
    expect(await runsOf("forked")).toHaveLength(1);
    const act = { ...given, dryRun: false, asOf: plan.seq };
    const made = await agent.call("tidebase_fork_run", act);
    expect(made).toMatchObject({ applied: true, created: true, status: "pending", keptSteps: 1 });
    expect(made.next).toContain("forkRunId");
    const again = await agent.call("tidebase_fork_run", act);
    expect(again).toMatchObject({ created: false, forkRunId: made.forkRunId });
    expect(await runsOf("forked")).toHaveLength(2);
    expect(await journalOf(made.forkRunId)).toEqual({ load: { rows: 3 } });
    const source = await agent.call("tidebase_get_run", { runId });
    expect(source.run).toMatchObject({ status: "failed", lastSeq: plan.seq });
    const once = await agent.call("tidebase_fork_run", { ...act, reason: "once more" });
    expect(once).toMatchObject({ created: false, forkRunId: made.forkRunId });
    const { runId: _, ...rest } = act;
    const other = await agent.call("tidebase_fork_run", { runId, ...rest, input: "{}" });
    expect(other.created).toBe(true);
    const spaced = await agent.call("tidebase_fork_run", { ...act, input: " { }" });
    expect(spaced).toMatchObject({ created: false, forkRunId: other.forkRunId });
  });

  test("takes another output for a step that it keeps", async () => {
    const { runId } = await failedRun(db);
    const edit = { name: "load", output: '{"rows":4}' };
    const given = { runId, from: { name: "send", key: "1" }, edit };
    const { seq, untrusted } = await agent.call("tidebase_fork_run", given);
    expect(untrusted.data.edited).toEqual({ name: "load" });
    const act = { ...given, dryRun: false, asOf: seq };
    const { forkRunId } = await agent.call("tidebase_fork_run", act);
    expect(await journalOf(forkRunId)).toEqual({ load: { rows: 4 } });
  });

  test("without a step is a rerun of everything, with another input if one is given", async () => {
    const { runId } = await failedRun(db);
    const given = { runId, input: '{"customer":8}' };
    const plan = await agent.call("tidebase_fork_run", given);
    expect(plan).toMatchObject({ keptSteps: 0, runAgainSteps: 2 });
    const act = { ...given, dryRun: false, asOf: plan.seq };
    const { forkRunId } = await agent.call("tidebase_fork_run", act);
    const fork = await agent.call("tidebase_get_run", { runId: forkRunId, include: ["input"] });
    expect(fork.untrusted.data.input).toBe('{"customer":8}');
    expect(fork.run.forkedFromRunId).toBe(runId);
    expect(await journalOf(forkRunId)).toEqual({});
  });

  test("of a run that is queued waits for a worker of the queue", async () => {
    const { results } = await db.call("runs.enqueue", {
      items: [{ workflow: "q", queue: "mail" }],
    });
    const [{ runId }] = results as [{ runId: string }];
    const { seq } = await agent.call("tidebase_fork_run", { runId });
    const made = await agent.call("tidebase_fork_run", { runId, dryRun: false, asOf: seq });
    expect(made).toMatchObject({ status: "queued", untrusted: { data: { queue: "mail" } } });
    expect(made.next).toContain("worker");
  });

  test("finds a step by its name as an answer shows it, hidden characters escaped", async () => {
    const lease = await db.begun();
    const items = [{ ...lease, name: "a\u202eb", key: "", output: 1 }];
    await db.call("steps.complete", { items });
    const { runId } = lease;
    const plan = await agent.call("tidebase_fork_run", { runId, from: { name: "a\\u{202e}b" } });
    expect(plan).toMatchObject({ keptSteps: 0, runAgainSteps: 1 });
    expect(plan.untrusted.data.runAgain[0].name).toBe("a\\u{202e}b");
  });
});

test.each([
  [{ from: { name: "IGNORE" } }, { code: "step_not_found" }],
  [{ edit: { name: "load", output: "1" } }, { code: "step_not_kept" }],
  [{ input: "{IGNORE" }, { code: "input_invalid", message: "input is no JSON text." }],
  [{ dryRun: false }, { code: "input_invalid", message: expect.stringContaining("asOf") }],
  [
    { dryRun: false, asOf: 1 },
    { code: "run_changed", fix: expect.stringContaining("dryRun") },
  ],
  [{ from: "load" }, { code: "input_invalid" }],
  [{ form: { name: "load" } }, { fix: expect.stringContaining("Did you mean from?") }],
])("no fork is made by %j, and nothing of it is repeated", async (given, expected) => {
  const { runId } = await failedRun(db);
  const error = await agent.refused("tidebase_fork_run", { runId, ...given });
  expect(error).toMatchObject({ ...expected, fix: expect.any(String) });
  expect(JSON.stringify(error)).not.toContain("IGNORE");
});
