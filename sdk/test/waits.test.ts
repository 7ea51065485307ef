import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { newRunId, type WaitForOptions } from "@tidebase/sdk";
import { expect, onTestFinished, test } from "vitest";
import { z } from "zod";
import { milliseconds } from "../src/waits/duration.ts";
import { eventTypes, statusOf, suspension } from "./deciding.ts";
import { useServer } from "./support.ts";

const server = useServer();

/** A process of its own that waits in the run. */
function worker(runId: string, mode: "sleep" | "gate") {
  const path = fileURLToPath(new URL("./waiting-worker.ts", import.meta.url));
  const flags = ["--import", "tsx", "--conditions=tidebase-source"];
  const args = [...flags, path, server.url, runId, mode];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
  onTestFinished(() => void child.kill("SIGKILL"));
  return child;
}

test("a suspended run keeps no process alive", async () => {
  const runId = newRunId();
  const child = worker(runId, "gate");
  let [wrote, suspendedAt] = ["", 0];
  child.stdout.on("data", (chunk) => {
    wrote += String(chunk);
    suspendedAt = performance.now();
  });
  expect(await once(child, "exit")).toEqual([0, null]);
  expect(performance.now() - suspendedAt).toBeLessThan(3000);
  expect(wrote).toBe("suspended\n");
  expect(await statusOf(server, runId)).toBe("waiting");
}, 60_000);

test("a short sleep is spent in the process, and a replay skips it without a request", async () => {
  const runId = newRunId();
  const work = (fails: boolean) =>
    server.tidebase.run("w", { runId }, async ({ sleep }) => {
      const begunAt = performance.now();
      await sleep("nap", "50ms");
      const slept = performance.now() - begunAt;
      if (fails) throw new Error("crash");
      return slept;
    });
  await expect(work(true)).rejects.toThrow("crash");
  expect((await server.tidebase.runs.steps(runId)).steps).toMatchObject([
    { name: "nap", status: "completed" },
  ]);
  server.requests.length = 0;
  expect(await work(false)).toBeLessThan(50);
  expect(server.requests.filter((path) => /timers|steps/.test(path))).toEqual([]);
});

test("a sleep until a moment that is over takes no time; what is no moment is refused", async () => {
  const past = server.tidebase.run("w", ({ sleep }) => sleep("s", { until: new Date(0) }));
  expect(await past).toBe(undefined);
  for (const until of ["tomorrow", new Date(Number.NaN), undefined as never]) {
    const refused = server.tidebase.run("w", ({ sleep }) => sleep("s", { until }));
    await expect(refused).rejects.toMatchObject({ code: "input_invalid" });
  }
});

test("durations are milliseconds or a number with its unit", () => {
  const good = [5, "500ms", "1.5s", "2m", "3h", "7d"] as const;
  expect(good.map((one) => milliseconds(one, "x"))).toEqual([
    5, 500, 1500, 120_000, 10_800_000, 604_800_000,
  ]);
  for (const bad of [-1, Number.NaN, Infinity, "1w", "", "s", "-1s", "1 h", "99999d", null])
    expect(() => milliseconds(bad as never, "x"), String(bad)).toThrow(/milliseconds/);
});

test("a sleep survives its killed process, and its due time is not recomputed", async () => {
  const runId = newRunId();
  const child = worker(runId, "sleep");
  const due = async () => {
    const text = "select due_at from tidebase.timers where run_id = $1";
    const { rows } = await server.db.pool.query(text, [runId.slice(4)]);
    return rows[0]?.due_at.toISOString() as string | undefined;
  };
  await expect.poll(due, { timeout: 20_000 }).toEqual(expect.any(String));
  const dueAt = await due();
  child.kill("SIGKILL");
  await once(child, "exit");
  const work = () =>
    server.tidebase.run("waiter", { runId }, async ({ sleep, step }) => {
      await sleep("long", "2h"); // its code says another time by now
      return step("after", () => "rested");
    });
  expect((await suspension(work())).data["wakeAt"]).toBe(dueAt);
  await server.db.advance("59 minutes");
  await suspension(work());
  await server.db.advance("2 minutes");
  await server.sweep();
  expect(await statusOf(server, runId)).toBe("pending");
  expect(await work()).toBe("rested");
  expect(await due()).toBe(dueAt);
}, 60_000);

/** One attempt that waits for the signal `paid` and gives what came. */
function waiter(runId: string, options: WaitForOptions = {}) {
  return () =>
    server.tidebase.run("w", { runId }, ({ waitFor }) => waitFor("paid", options) as unknown);
}

test("a signal that came before the wait is taken, the oldest first, and a replay gets the same", async () => {
  const runId = newRunId();
  await server.tidebase.runs.create("w", { runId });
  for (const n of [1, 2]) await server.tidebase.signal(runId, "paid", { n });
  const attempt = (fails: boolean) =>
    server.tidebase.run("w", { runId }, async ({ waitFor }) => {
      const one = await waitFor("paid", { key: "1" });
      const two = await waitFor("paid", { key: "2" });
      if (fails) throw new Error("crash");
      return [one, two];
    });
  await expect(attempt(true)).rejects.toThrow("crash");
  await server.tidebase.signal(runId, "paid", { n: 3 });
  expect(await attempt(false)).toEqual([
    { timedOut: false, payload: { n: 1 } },
    { timedOut: false, payload: { n: 2 } },
  ]);
});

test("every answer may be lost once: nothing is taken, slept or asked twice", async () => {
  const runId = newRunId();
  await server.tidebase.runs.create("w", { runId });
  const lost = new Set<string>();
  server.meddle = async (path, answer) => {
    const answered = await answer();
    if (lost.has(path)) return answered;
    lost.add(path);
    return new Response("gone", { status: 502 });
  };
  for (const n of [1, 2]) await server.tidebase.signal(runId, "paid", n);
  const outcome = await server.tidebase.run("w", { runId }, async ({ gates, sleep, waitFor }) => {
    const opened = await gates.open("ask", { prompt: "Well?" });
    await sleep("nap", 20);
    const [one, two] = [await waitFor("paid", { key: "1" }), await waitFor("paid", { key: "2" })];
    return [opened.revision, one, two];
  });
  expect(outcome).toEqual([1, { timedOut: false, payload: 1 }, { timedOut: false, payload: 2 }]);
  expect(lost).toContain(`/v1/runs/${runId}/signals/take`);
  server.meddle = undefined;
  const types = await eventTypes(server, runId);
  const counts = ["signal.sent", "gate.opened", "step.completed"].map(
    (type) => types.filter((one) => one === type).length,
  );
  expect(counts).toEqual([2, 1, 3]);
});

test("a signal wakes the run that waits for it; the same key again changes nothing", async () => {
  const runId = newRunId();
  const work = waiter(runId, { schema: z.object({ n: z.number() }) });
  const { data } = await suspension(work());
  expect(data["waits"]).toMatchObject({ signals: ["paid"], timers: [] });
  const handle = server.tidebase.runs.attach(runId);
  expect(await handle.signal("paid", { n: 1 }, { key: "k" })).toMatchObject({ recorded: false });
  expect(await handle.signal("paid", { n: 2 }, { key: "k" })).toMatchObject({ recorded: true });
  expect(await statusOf(server, runId)).toBe("pending");
  expect(await work()).toEqual({ timedOut: false, payload: { n: 1 } });
});

test("a timeout is an outcome, and stays it when the signal comes too late", async () => {
  const runId = newRunId();
  const work = (fails: boolean) =>
    server.tidebase.run("w", { runId }, async ({ waitFor }) => {
      const outcome = await waitFor("confirmation", { signal: "paid", timeout: "1h" });
      if (fails) throw new Error("crash");
      return outcome;
    });
  const { data } = await suspension(work(false));
  expect(data["waits"]).toMatchObject({
    ...{ signals: ["paid"], timers: [{ name: "confirmation", key: "" }] },
  });
  await server.db.advance("61 minutes");
  await expect(work(true)).rejects.toThrow("crash");
  await server.tidebase.signal(runId, "paid", 1);
  expect(await work(false)).toEqual({ timedOut: true });
});

test("a short timeout is spent in the process, and a signal ends it sooner", async () => {
  expect(await waiter(newRunId(), { timeout: 30 })()).toEqual({ timedOut: true });
  server.requests.length = 0;
  const runId = newRunId();
  const waiting = waiter(runId, { timeout: "29s" })();
  await expect.poll(() => server.requests.some((path) => path.endsWith("/take"))).toBe(true);
  await server.tidebase.signal(runId, "paid");
  expect(await waiting).toEqual({ timedOut: false, payload: null });
});

test("a blocked wait keeps the process until the signal", async () => {
  const runId = newRunId();
  const waiting = waiter(runId, { onWait: "block" })();
  await expect.poll(() => server.requests.some((path) => path.endsWith("/stream"))).toBe(true);
  await server.tidebase.signal(runId, "paid", "now");
  expect(await waiting).toEqual({ timedOut: false, payload: "now" });
});

test("a payload that does not fit is said to be so, whatever schema reads it", async () => {
  const standard = {
    "~standard": { validate: () => ({ issues: [{ message: "no number" }] }) },
  };
  for (const schema of [z.number(), standard]) {
    const runId = newRunId();
    await server.tidebase.runs.create("w", { runId });
    await server.tidebase.signal(runId, "paid", "one");
    await expect(waiter(runId, { schema })()).rejects.toMatchObject({ code: "signal_invalid" });
  }
  const date = server.tidebase.signal(newRunId(), "paid", new Date());
  await expect(date).rejects.toMatchObject({ code: "signal_not_json" });
});

test("steps, sleeps and waits share their names; gates have their own", async () => {
  const twice = [
    server.tidebase.run("w", async ({ sleep, step }) => {
      await step("s", () => 1);
      await sleep("s", 1);
    }),
    server.tidebase.run("w", async ({ sleep, waitFor }) => {
      await sleep("s", 1);
      await waitFor("s");
    }),
  ];
  const refused = (run: Promise<unknown>) =>
    expect(run).rejects.toMatchObject({ code: "duplicate_step" });
  await Promise.all(twice.map(refused));
  const apart = server.tidebase.run("w", async ({ gates, sleep, step }) => {
    await gates.open("s", { prompt: "?" });
    await sleep("s", 1, { key: "1" });
    return step("s", () => "apart");
  });
  expect(await apart).toBe("apart");
});
