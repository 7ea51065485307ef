import { serve } from "@hono/node-server";
import { afterAll, describe, expect, test } from "vitest";
import { useDatabase } from "../../core/test/support/database.ts";
import { createApp } from "../../http-server/src/app.ts";
import { decide, openGate } from "./gate-support.ts";
import { useAgent } from "./support.ts";

const db = useDatabase();
const server = serve({ fetch: createApp(db.core).fetch, hostname: "127.0.0.1", port: 0 });
afterAll(() => new Promise((resolve) => server.close(resolve)));

const backends = {
  database: () => ({ TIDEBASE_DATABASE_URL: db.url }),
  server() {
    const address = server.address();
    const port = typeof address === "object" ? address?.port : undefined;
    return { TIDEBASE_URL: `http://127.0.0.1:${port}` };
  },
};

describe.each(["database", "server"] as const)("next to a %s", (kind) => {
  const agent = useAgent(backends[kind]);

  test("waiting ends with the time when nothing happens, and says so", async () => {
    const { runId } = await db.begun();
    const answer = await agent.call("tidebase_wait_for_run", { runId, timeoutMs: 50 });
    expect(answer).toMatchObject({
      run: { runId, status: "running", lastSeq: 2 },
      verdict: "in_progress",
      timedOut: true,
    });
    expect(answer.waitedMs).toBeGreaterThanOrEqual(50);
    expect(answer).not.toHaveProperty("openGates");
  });

  test("waiting ends with a change, and with one that came before the call", async () => {
    const lease = await db.begun();
    const { runId } = lease;
    let changing: Promise<unknown> | undefined;
    const { structuredContent } = await agent.client.callTool(
      { name: "tidebase_wait_for_run", arguments: { runId, timeoutMs: 20_000 } },
      undefined,
      {
        onprogress() {
          // told after the first look: the change comes while the tool waits
          changing ??= db.call("state.write", { ...lease, kind: "set", value: 1 });
        },
      },
    );
    await changing;
    expect(structuredContent).toMatchObject({ timedOut: false, run: { lastSeq: 3 } });
    const missed = await agent.call("tidebase_wait_for_run", { runId, afterSeq: 2 });
    expect(missed).toMatchObject({ timedOut: false });
    expect(missed.waitedMs).toBeLessThan(5000);
  });

  test("waiting for a gate ends when it is decided, not with any change", async () => {
    const { gateId, runId } = await openGate(db);
    const { run } = await agent.call("tidebase_wait_for_run", { runId, timeoutMs: 0 });
    const open = await agent.call("tidebase_wait_for_run", { runId, until: "gate", timeoutMs: 0 });
    expect(open).toMatchObject({ timedOut: true, openGates: [gateId] });
    await decide(db, gateId, "approved");
    const since = { runId, until: "gate", afterSeq: run.lastSeq };
    const answer = await agent.call("tidebase_wait_for_run", since);
    expect(answer).toMatchObject({ timedOut: false });
    expect(answer).not.toHaveProperty("openGates");
    const end = { ...since, until: "end", timeoutMs: 0 };
    expect(await agent.call("tidebase_wait_for_run", end)).toMatchObject({ timedOut: true });
  });

  test("waiting for the end ends at once when the run has failed or is final", async () => {
    const failing = await db.begun();
    await db.call("runs.fail", {
      ...failing,
      error: { message: "No" },
      failureClass: "workflow_error",
    });
    const completed = await db.begun();
    await db.complete(completed, { result: null });
    for (const { runId } of [failing, completed])
      expect(
        await agent.call("tidebase_wait_for_run", { runId, until: "end", timeoutMs: 50_000 }),
      ).toMatchObject({ timedOut: false });
    const { runId } = completed;
    expect(await agent.call("tidebase_wait_for_run", { runId })).toMatchObject({
      timedOut: false,
      verdict: "final",
    });
  });

  test("a call taken back stops waiting, and the next is answered", async () => {
    const { runId } = await db.begun();
    const taken = new AbortController();
    const waiting = agent.client.callTool(
      { name: "tidebase_wait_for_run", arguments: { runId, timeoutMs: 50_000 } },
      undefined,
      { signal: taken.signal, onprogress: () => taken.abort() },
    );
    await expect(waiting).rejects.toThrow();
    await agent.call("tidebase_wait_for_run", { runId, timeoutMs: 0 });
  });
});
