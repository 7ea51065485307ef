import { newRunId, type RunEvent } from "@tidebase/sdk";
import { expect, test } from "vitest";
import { deferred, useServer } from "./support.ts";

const server = useServer();

async function all(events: AsyncIterable<RunEvent>): Promise<RunEvent[]> {
  const seen: RunEvent[] = [];
  for await (const event of events) seen.push(event);
  return seen;
}

test("the events of a run come as they happen, once and in order, and end with it", async () => {
  const runId = newRunId();
  await server.tidebase.runs.create("w", { runId });
  const following = all(server.tidebase.runs.events(runId));
  await server.tidebase.run("w", { runId }, ({ step }) => step("s", () => 1));
  const events = await following;
  expect(events.map(({ seq }) => seq)).toEqual([1, 2, 3, 4]);
  expect(events.map(({ type }) => type)).toEqual([
    ...["run.created", "run.begun", "step.completed", "run.completed"],
  ]);
  expect(await all(server.tidebase.runs.events(runId, { afterSeq: 2 }))).toEqual(events.slice(2));
  const overFetch = server.client({ fetch: globalThis.fetch });
  expect(await all(overFetch.runs.events(runId))).toEqual(events);
});

test("events go on after a restart of the server where they broke off", async () => {
  const runId = newRunId();
  await server.tidebase.runs.create("w", { runId });
  const client = server.client();
  const [began, gone] = [deferred(), deferred()];
  const seen: number[] = [];
  const following = (async () => {
    for await (const { seq, type } of client.runs.events(runId)) {
      seen.push(seq);
      if (type === "run.begun") began.resolve();
    }
  })();
  const run = server.client().run("w", { runId }, async ({ step }) => {
    await began.promise;
    await server.stop();
    gone.resolve();
    return step("s", () => 1);
  });
  await gone.promise;
  await server.start();
  await run;
  await following;
  expect(seen).toEqual([1, 2, 3, 4]);
});

test("following ends when its signal is aborted, and with an error for an unknown run", async () => {
  const runId = newRunId();
  await server.tidebase.runs.create("w", { runId });
  const controller = new AbortController();
  for await (const event of server.tidebase.runs.events(runId, { signal: controller.signal })) {
    expect(event.type).toBe("run.created");
    controller.abort();
  }
  const unknown = all(server.tidebase.runs.events(newRunId()));
  await expect(unknown).rejects.toMatchObject({ code: "run_not_found" });
});

test("a handle waits for the result of a run, or for its failure", async () => {
  const { runId } = await server.tidebase.runs.create("w");
  const handle = server.tidebase.runs.attach<Date>(runId);
  const result = handle.result();
  await server.tidebase.run("w", { runId }, () => new Date(5));
  expect(await result).toEqual(new Date(5));
  expect((await handle.get()).run.status).toBe("completed");

  const failing = await server.tidebase.runs.create("w");
  const attached = server.tidebase.runs.attach(failing.runId).result();
  const failure = attached.catch((error: unknown) => error); // it may be told first
  const run = server.tidebase.run("w", { runId: failing.runId }, () => {
    throw new Error("no luck");
  });
  await expect(run).rejects.toThrow("no luck");
  expect(await failure).toMatchObject({
    code: "run_failed",
    message: expect.stringContaining("no luck"),
  });
});

test("runs are listed, judged and recovered from outside", async () => {
  const { runs } = server.tidebase;
  const { runId } = await runs.create("judged", { tags: ["t1", "t2"] });
  const run = server.tidebase.run("judged", { runId }, ({ step }) =>
    step("s", () => {
      throw new Error("broken");
    }),
  );
  await expect(run).rejects.toThrow("broken");
  const page = await runs.list({ status: ["failed", "pending"], workflow: "judged", limit: 1 });
  expect(page.runs).toMatchObject([{ runId, status: "failed", tags: ["t1", "t2"] }]);
  expect(await runs.verdict(runId)).toMatchObject({ answer: "safe" });
  expect(await runs.recover(runId)).toMatchObject({ dryRun: true });
  expect(await runs.recover(runId, { dryRun: false })).toMatchObject({ status: "pending" });
  expect((await runs.steps(runId)).steps).toMatchObject([{ name: "s" }]);
});
