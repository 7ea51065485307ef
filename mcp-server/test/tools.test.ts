import { serve } from "@hono/node-server";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { useDatabase } from "../../core/test/support/database.ts";
import { createApp } from "../../http-server/src/app.ts";
import { type Answer, failedRun, useAgent } from "./support.ts";

const db = useDatabase();
const server = serve({ fetch: createApp(db.core).fetch, hostname: "127.0.0.1", port: 0 });
afterAll(() => new Promise((resolve) => server.close(resolve)));

function serverUrl(): string {
  const address = server.address();
  if (address === null || typeof address === "string")
    throw new Error("The server listens on no port.");
  return `http://127.0.0.1:${address.port}`;
}

const backends = {
  database: () => ({ TIDEBASE_DATABASE_URL: db.url }),
  server: () => ({ TIDEBASE_URL: serverUrl() }),
};

describe.each(["database", "server"] as const)("next to a %s", (kind) => {
  const agent = useAgent(backends[kind]);
  let runId = "";
  beforeAll(async () => {
    ({ runId } = await failedRun(db));
  });

  test("the overview names the store, how it was found and what may be done to it", async () => {
    const answer = await agent.call("tidebase_overview");
    const foundBy = kind === "database" ? "TIDEBASE_DATABASE_URL" : "TIDEBASE_URL";
    expect(answer).toMatchObject({ access: "read_write", store: { foundBy } });
    expect(answer.store.description).toContain("127.0.0.1");
    expect(answer.store.description).not.toContain("@");
    expect(answer.attention).toContainEqual(
      expect.objectContaining({ runId, status: "failed", failureClass: "manual_review" }),
    );
    expect(answer.untrusted.data.attention).toContainEqual({ runId, workflow: "report" });
  });

  test("runs are found by their filters, one line each", async () => {
    const filters = { status: ["failed", "interrupted"], workflow: "report", tag: "weekly" };
    const answer = await agent.call("tidebase_list_runs", { ...filters, search: "mail server" });
    expect(answer.runs).toContainEqual(
      expect.objectContaining({ runId, status: "failed", age: expect.stringMatching(/^\d+s$/) }),
    );
    expect(answer.untrusted.data.runs).toContainEqual({
      runId,
      workflow: "report",
      tags: ["weekly"],
      error: "The mail server refused",
    });
    const one = await agent.call("tidebase_list_runs", { status: ["failed"], limit: 1 });
    expect(one.runs).toHaveLength(1);
    expect(await agent.call("tidebase_list_runs", { workflow: "none" })).toEqual({
      runs: [],
      hints: [expect.stringContaining("No run matches")],
    });
  });

  test("a run comes with its verdict, its failing step and its last events", async () => {
    const answer = await agent.call("tidebase_get_run", { runId });
    expect(answer).toMatchObject({
      run: { runId, status: "failed", failureClass: "manual_review" },
      verdict: { answer: "needs_review", nextAction: "review_step" },
      stepCounts: { completed: 1, manualReview: 1 },
      failingStep: 1,
      steps: [{ n: 1, status: "manual_review", wouldRunAgain: false }],
    });
    const { data } = answer.untrusted;
    expect(data.steps).toEqual([
      {
        n: 1,
        name: "send",
        key: "1",
        sideEffects: ["mail"],
        error: "MailError: The mail server refused",
      },
    ]);
    expect(data.resumeFolder).toBe("/srv/report");
    expect(data).not.toHaveProperty("input");
    expect(answer.events.at(-1)).toMatchObject({ type: "run.failed", seq: answer.run.lastSeq });
  });

  test("a run's parts come when they are asked for", async () => {
    const include = ["steps", "events", "input", "result", "metadata"];
    const answer = await agent.call("tidebase_get_run", { runId, include, detail: "detailed" });
    expect(answer.untrusted.data).toMatchObject({
      input: '{"customer":7}',
      metadata: '{"team":"blue"}',
      stack: expect.stringContaining("mail.js:7"),
      recordedSteps: [
        { n: 1, name: "load" },
        { n: 2, name: "send", key: "1" },
      ],
    });
    expect(answer.recordedSteps[0]).toMatchObject({ n: 1, status: "completed", outputBytes: 10 });
    expect(answer.events[0]).toMatchObject({ seq: 1, type: "run.created" });
  });

  test("events come in order, by type and page by page", async () => {
    const first = await agent.call("tidebase_list_events", { runId, limit: 3 });
    expect(first.events.map(({ seq }: Answer) => seq)).toEqual([1, 2, 3]);
    expect(first.nextAfterSeq).toBe(3);
    const rest = await agent.call("tidebase_list_events", { runId, afterSeq: first.nextAfterSeq });
    expect(rest.events[0].seq).toBe(4);
    expect(rest).not.toHaveProperty("nextAfterSeq");
    const failed = await agent.call("tidebase_list_events", { runId, types: ["step.failed"] });
    expect(failed.events).toHaveLength(1);
    expect(JSON.parse(failed.untrusted.data.events[0].data)).toMatchObject({ name: "send" });
    const bare = await agent.call("tidebase_list_events", { runId, payload: "none" });
    expect(bare).not.toHaveProperty("untrusted");
  });

  test("state is read at a version, in part, and as the patch between two", async () => {
    const latest = await agent.call("tidebase_get_state", { runId });
    expect(latest).toMatchObject({ version: 2, latest: 2, found: true });
    expect(JSON.parse(latest.untrusted.data.value)).toEqual({ sent: 1, plan: ["a", "b"] });
    expect(latest.recentVersions.map(({ version }: Answer) => version)).toEqual([2, 1]);
    expect(latest.untrusted.data.versions[0]).toMatchObject({ labels: ["before mail"] });
    const part = await agent.call("tidebase_get_state", { runId, version: 1, path: "/plan/1" });
    expect(part.untrusted.data.value).toBe('"b"');
    const patch = await agent.call("tidebase_get_state", { runId, diffFrom: 1 });
    expect(patch.untrusted.data.patch).toEqual([{ op: "replace", path: "/sent", value: "1" }]);
    const absent = await agent.call("tidebase_get_state", { runId, path: "/nothing" });
    expect(absent.found).toBe(false);
    const stream = await agent.call("tidebase_get_state", { runId, stream: "other" });
    expect(stream).toMatchObject({ version: 0, found: false });
  });

  test("recovering is a dry run first, and acts on exactly what was shown", async () => {
    const { runId } = await failedRun(db, { sideEffects: ["read"] });
    const dry = await agent.call("tidebase_recover_run", { runId });
    expect(dry).toMatchObject({
      dryRun: true,
      applied: false,
      status: "failed",
      replayedSteps: 1,
      runAgain: [{ n: 1, wouldRunAgain: true }],
    });
    expect(dry.untrusted.data).toMatchObject({
      steps: [{ n: 1, name: "send", sideEffects: ["read"] }],
      resumeCommand: ["node", "report.js", "--run", runId],
    });
    const early = await agent.refused("tidebase_recover_run", { runId, dryRun: false });
    expect(early).toMatchObject({ code: "input_invalid", fix: expect.stringContaining("asOf") });
    const act = { runId, dryRun: false, asOf: dry.seq, reason: "the mail server is back" };
    const moved = await agent.refused("tidebase_recover_run", { ...act, asOf: dry.seq - 1 });
    expect(moved).toMatchObject({ code: "run_changed", runId, seq: dry.seq });
    const done = await agent.call("tidebase_recover_run", act);
    expect(done).toMatchObject({ applied: true, status: "pending" });
    const again = await agent.call("tidebase_recover_run", act); // as after a lost answer
    expect(again).toMatchObject({ applied: true, status: "pending", seq: done.seq });
    const other = await agent.refused("tidebase_recover_run", { ...act, reason: "once more" });
    expect(other).toMatchObject({ code: "run_changed" });
  });

  test("a stalled run is found by the overview and explained", async () => {
    const { runId } = await db.begun();
    await db.advance("2 minutes");
    const overview = await agent.call("tidebase_overview");
    expect(overview.stalled).toBeGreaterThan(0);
    expect(overview.hints).toContainEqual(expect.stringContaining("Stalled"));
    const answer = await agent.call("tidebase_get_run", { runId });
    expect(answer).toMatchObject({ run: { stalled: true }, verdict: { answer: "safe" } });
  });
});
