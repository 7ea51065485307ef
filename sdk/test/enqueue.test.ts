import { newRunId } from "@tidebase/sdk";
import { expect, test } from "vitest";
import { useServer } from "./support.ts";

const server = useServer();
const runOf = async (runId: string) => (await server.tidebase.runs.get(runId)).run;

test("an enqueued run waits in its queue with everything it was given", async () => {
  const { tidebase } = server;
  const report = tidebase.workflow("report", ({ input }: { input: { doc: number } }) => input.doc);
  const runAt = new Date(Date.now() + 3_600_000);
  const made = await tidebase.enqueue(report, {
    ...{ input: { doc: 1 }, queue: "given", priority: 3, maxAttempts: 7, tags: ["a"], runAt },
    ...{ concurrencyKey: "user", dedupeKey: "doc 1", ttl: "2h", deadline: "1d" },
    backoff: { minMs: "1s", factor: 3, maxMs: 60_000 },
  });
  expect(made).toMatchObject({ outcome: "created", status: "queued" });
  const run = await runOf(made.runId);
  expect(run).toMatchObject({ workflow: "report", queue: "given", priority: 3, maxAttempts: 7 });
  expect(run).toMatchObject({ concurrencyKey: "user", dedupeKey: "doc 1", tags: ["a"] });
  expect([run.runAt, run.deadlineAt !== null]).toEqual([runAt.toISOString(), true]);
});

test("without options the run is in the default queue, at once or after a delay", async () => {
  const { tidebase } = server;
  const now = await tidebase.enqueue("plain");
  expect(await runOf(now.runId)).toMatchObject({ queue: "default", maxAttempts: 3 });
  const later = await tidebase.enqueue("plain", { delay: "10m" });
  const { runAt } = await runOf(later.runId);
  expect(Date.parse(runAt ?? "") - Date.now()).toBeGreaterThan(590_000);
  const both = tidebase.enqueue("plain", { delay: 1, runAt: new Date() });
  await expect(both).rejects.toMatchObject({ code: "input_invalid" });
  const unread = tidebase.enqueue("plain", { runAt: new Date("soon") });
  await expect(unread).rejects.toMatchObject({ code: "input_invalid" });
});

test("a dedupe key gives the active run, an idempotency key the first one, and other content is refused", async () => {
  const { tidebase } = server;
  const first = await tidebase.enqueue("keyed", { dedupeKey: "d" });
  const second = await tidebase.enqueue("keyed", { dedupeKey: "d" });
  expect(second).toEqual({ ...first, outcome: "deduplicated" });
  const one = await tidebase.enqueue("keyed", { idempotencyKey: "i", input: 1 });
  const again = await tidebase.enqueue("keyed", { idempotencyKey: "i", input: 1 });
  expect(again).toEqual({ ...one, outcome: "existing" });
  const other = tidebase.enqueue("keyed", { idempotencyKey: "i", input: 2 });
  await expect(other).rejects.toMatchObject({
    code: "idempotency_conflict",
    data: { runId: one.runId, differs: ["input"] },
  });
  await expect(other).rejects.toThrow("with other content (differs: input)");
});

test("an option that does not exist is refused, with those that do", async () => {
  const mistyped = { idempotencykey: "k" };
  const one = server.tidebase.enqueue("mistyped", mistyped as object);
  await expect(one).rejects.toThrow(
    /there is no option idempotencykey\. It takes .*idempotencyKey/,
  );
  const many = server.tidebase.enqueueMany("mistyped", [{}, { delayMs: 5 } as object]);
  await expect(many).rejects.toMatchObject({ code: "input_invalid" });
  expect((await server.tidebase.runs.list({ workflow: "mistyped" })).runs).toEqual([]);
});

test("an enqueue whose answer was lost is sent again and finds its own run", async () => {
  let lost = 0;
  server.meddle = async (path, answer) => {
    const answered = await answer();
    if (path !== "/v1/runs/enqueue" || lost++ > 0) return answered;
    return new Response("bad gateway", { status: 502 });
  };
  const made = await server.tidebase.enqueue("lost", { dedupeKey: "lost" });
  expect([made.outcome, lost]).toEqual(["created", 2]);
  const { runs } = await server.tidebase.runs.list({ workflow: "lost" });
  expect(runs.map(({ runId }) => runId)).toEqual([made.runId]);
});

test("a thousand and more are queued in order, and a conflict is its own run's result alone", async () => {
  const { tidebase } = server;
  await tidebase.enqueue("many", { queue: "many", idempotencyKey: "taken", input: "first" });
  const own = newRunId();
  const items = Array.from({ length: 1203 }, (_, input) => ({ queue: "many", input }));
  const results = await tidebase.enqueueMany("many", [
    ...items,
    { queue: "many", idempotencyKey: "taken", input: "second" },
    { queue: "many", runId: own },
  ]);
  const outcomes = results.map(({ outcome }) => outcome);
  expect(outcomes.slice(0, 1203).every((outcome) => outcome === "created")).toBe(true);
  expect(outcomes.slice(1203)).toEqual(["idempotency_conflict", "created"]);
  expect(results.at(-1)?.runId).toBe(own);
  const { input } = await tidebase.call("runs.get", {
    ...{ runId: results[1100]?.runId ?? "", include: ["input"] },
  });
  expect(input).toBe(1100);
  expect(server.requests.filter((path) => path === "/v1/runs/enqueue")).toHaveLength(3);
  expect(await tidebase.enqueueMany("many", [])).toEqual([]);
});

test("a queue is limited, paused, resumed and looked at", async () => {
  const { queues } = server.tidebase;
  await server.tidebase.enqueue("seen", { queue: "seen" });
  expect(await queues.update("seen", { concurrency: 2 })).toMatchObject({ concurrency: 2 });
  expect((await queues.pause("seen")).pausedAt).not.toBeNull();
  expect((await queues.resume("seen")).pausedAt).toBeNull();
  expect((await queues.get("seen")).queue).toMatchObject({ ready: 1, concurrency: 2 });
  const { queues: listed } = await queues.list();
  expect(listed.map(({ queue }) => queue)).toContain("seen");
  expect(await queues.redrive("seen")).toMatchObject({ dryRun: true, matching: 0 });
});

test("a queued run is not begun by its id: it is claimed by a worker of its queue", async () => {
  const { tidebase } = server;
  const code = tidebase.workflow("claimed only", () => 1);
  const { runId } = await tidebase.enqueue(code, { queue: "claimed-only" });
  const refused = { code: "run_in_queue", message: expect.stringContaining("tide.work") };
  await expect(code.run({ runId })).rejects.toMatchObject(refused);
  await expect(tidebase.resume(runId)).rejects.toMatchObject(refused);
});

test("a schedule is put, looked at, paused, triggered and deleted", async () => {
  const { tidebase } = server;
  const { schedules } = tidebase;
  const nightly = tidebase.workflow("nightly", ({ input }: { input: Date }) => input.getTime());
  const says = {
    cron: "0 3 * * *",
    timezone: "Europe/Berlin",
    queue: "nights",
    input: new Date(7),
  };
  const put = await schedules.put("every night", nightly, { ...says, deadline: "1h" });
  expect(put).toMatchObject({ outcome: "created", schedule: { name: "every night", revision: 1 } });
  expect(put.schedule).toMatchObject({ deadlineMs: 3_600_000, workflow: "nightly" });
  const again = await schedules.put("every night", nightly, { ...says, deadline: "1h" });
  expect(again.outcome).toBe("unchanged");
  expect((await schedules.pause("every night")).paused).toBe(true);
  expect((await schedules.resume("every night")).nextFires).toHaveLength(5);
  expect((await schedules.list()).schedules.map(({ name }) => name)).toEqual(["every night"]);

  const { runId } = await schedules.trigger("every night");
  expect(await runOf(runId)).toMatchObject({ queue: "nights", status: "queued" });
  expect((await schedules.fires("every night")).fires).toMatchObject([{ kind: "manual", runId }]);
  const worker = tidebase.work({ queues: ["nights"] });
  expect(await tidebase.runs.attach(runId).result()).toBe(7);
  await worker.stop();

  await schedules.delete("every night");
  await expect(schedules.get("every night")).rejects.toMatchObject({ code: "schedule_not_found" });
  const bad = schedules.put("bad", "nightly", { cron: "every day" });
  await expect(bad).rejects.toMatchObject({ code: "cron_invalid" });
});

test("a trigger whose answer was lost makes one run", async () => {
  const { schedules, runs } = server.tidebase;
  await schedules.put("lost", "triggered", { cron: "@daily" });
  let lost = 0;
  server.meddle = async (path, answer) => {
    const answered = await answer();
    if (!path.endsWith("/trigger") || lost++ > 0) return answered;
    return new Response("bad gateway", { status: 502 });
  };
  const { runId } = await schedules.trigger("lost");
  const { runs: made } = await runs.list({ workflow: "triggered" });
  expect([made.map((run) => run.runId), lost]).toEqual([[runId], 2]);
});
