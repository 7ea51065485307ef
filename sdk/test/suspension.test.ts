import { newRunId } from "@tidebase/sdk";
import { expect, test } from "vitest";
import { decide, eventTypes, openGate, statusOf, suspension } from "./deciding.ts";
import { deferred, useServer } from "./support.ts";

const server = useServer();

test("branches that work finish and are recorded before the run is suspended with all its waits", async () => {
  const runId = newRunId();
  const long = deferred();
  const done: string[] = [];
  const work = () =>
    server.tidebase.run("w", { runId }, async ({ gate, sleep, step }) => {
      const busy = async () => {
        await step("long", () => long.promise);
        for (const key of ["a", "b", "c"]) await step("row", { key }, () => done.push(key));
      };
      const asked = gate("ask", { prompt: "Well?" });
      await Promise.all([asked, sleep("pause", "1h"), busy()]);
      return (await asked).status;
    });
  const first = suspension(work());
  const gateId = await openGate(server, runId, "ask");
  expect(await statusOf(server, runId)).toBe("running");
  long.resolve();
  const { data } = await first;
  expect(data["waits"]).toEqual({
    ...{ gates: [gateId], timers: [{ name: "pause", key: "" }] },
    ...{ signals: [], retries: [] },
  });
  expect(data["wakeAt"]).toEqual(expect.any(String));
  expect(done).toEqual(["a", "b", "c"]);
  await decide(server, gateId);
  expect((await suspension(work())).data["waits"]).toMatchObject({ gates: [] });
  await server.db.advance("61 minutes");
  expect(await work()).toBe("approved");
  expect(done).toEqual(["a", "b", "c"]);
});

test("a branch whose wait has happened goes on while another still works", async () => {
  const runId = newRunId();
  const long = deferred();
  const result = server.tidebase.run("w", { runId }, async ({ gate, step }) => {
    const asked = gate("ask", { prompt: "Well?" }).then(() => step("after", () => long.resolve()));
    await Promise.all([asked, step("long", () => long.promise)]);
    return "both";
  });
  await decide(server, await openGate(server, runId, "ask"));
  expect(await result).toBe("both");
});

test("a step that would begin while the suspension is asked for waits for the answer", async () => {
  const runId = newRunId();
  const [asking, begin] = [deferred(), deferred()];
  const ran: string[] = [];
  server.meddle = async (path, answer) => {
    if (!path.endsWith("/suspend")) return answer();
    asking.resolve();
    begin.resolve();
    await new Promise((resolve) => setImmediate(resolve));
    return answer();
  };
  const attempt = server.tidebase.run("w", { runId }, async ({ gate, step }) => {
    const elsewhere = async () => {
      await begin.promise; // no step: nobody can see that this branch will go on
      await step("late", () => ran.push("late"));
    };
    await Promise.all([gate("ask", { prompt: "Well?" }), elsewhere()]);
  });
  await suspension(attempt);
  expect(ran).toEqual([]);
});

test("when something has happened already, the step that waited for the answer goes on", async () => {
  const runId = newRunId();
  const begin = deferred();
  const order: string[] = [];
  server.meddle = async (path, answer) => {
    if (!path.endsWith("/suspend")) return answer();
    begin.resolve();
    await new Promise((resolve) => setImmediate(resolve));
    order.push("asked");
    await decide(server, await openGate(server, runId, "ask"));
    return answer();
  };
  const attempt = server.tidebase.run("w", { runId }, async ({ gate, step }) => {
    const elsewhere = async () => {
      await begin.promise;
      await step("late", () => order.push("late"));
    };
    await Promise.all([gate("ask", { prompt: "Well?" }), elsewhere()]);
    return "through";
  });
  expect(await attempt).toBe("through");
  expect(order).toEqual(["asked", "late"]);
});

test("a heartbeat that crosses the suspension does not make a loss of it", async () => {
  const runId = newRunId();
  const beaten = deferred();
  const tidebase = server.client({ leaseMs: 300 });
  let isSuspended = false;
  server.meddle = async (path, answer) => {
    const answered = await answer();
    if (path.endsWith("/suspend")) {
      isSuspended = true;
      await beaten.promise;
    } else if (isSuspended && path.endsWith("/heartbeat")) {
      expect(await answered.clone().json()).toMatchObject({ results: [{ outcome: "lease_lost" }] });
      setImmediate(() => beaten.resolve());
    }
    return answered;
  };
  let settled = false;
  const attempt = tidebase.run("w", { runId }, ({ gate }) =>
    gate("ask", { prompt: "Well?" }).finally(() => {
      settled = true;
    }),
  );
  await suspension(attempt);
  expect([settled, await statusOf(server, runId)]).toEqual([false, "waiting"]);
});

test("what a branch writes is under way until it is written", async () => {
  const runId = newRunId();
  const slow = deferred();
  server.meddle = async (path, answer) => {
    if (path.endsWith("/state")) await slow.promise;
    return answer();
  };
  const attempt = server.tidebase.run("w", { runId }, async ({ gate, state }) => {
    await Promise.all([gate("ask", { prompt: "Well?" }), state.set({ a: 1 })]);
  });
  await openGate(server, runId, "ask");
  for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
  expect(await statusOf(server, runId)).toBe("running");
  slow.resolve();
  await suspension(attempt);
  const { value } = await server.tidebase.call("state.read", { runId });
  expect(value).toEqual({ a: 1 });
});

test("a branch that fails beats the suspension", async () => {
  const runId = newRunId();
  const long = deferred();
  const attempt = server.tidebase.run("w", { runId }, async ({ gate, step }) => {
    const failing = step("long", () => long.promise);
    await Promise.all([gate("ask", { prompt: "Well?" }), failing]);
  });
  await openGate(server, runId, "ask");
  long.reject(new Error("broken"));
  await expect(attempt).rejects.toThrow("broken");
  expect(await statusOf(server, runId)).toBe("failed");
  expect(await eventTypes(server, runId)).not.toContain("run.suspended");
});

test("a suspension is told by the run's signal, and what waits never settles", async () => {
  const seen: unknown[] = [];
  const attempt = server.tidebase.run("w", async ({ gate, signal }) => {
    signal.addEventListener("abort", () => seen.push(signal.reason));
    try {
      await gate("ask", { prompt: "Well?" });
    } finally {
      seen.push("settled");
    }
  });
  const reason = await suspension(attempt);
  for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
  expect(seen).toEqual([reason]);
});

test("what is given up in a race keeps neither the run from its end nor the process", async () => {
  const runId = newRunId();
  const work = () =>
    server.tidebase.run("w", { runId }, async ({ gate, sleep, step }) => {
      const asked = gate("ask", { prompt: "Well?" }).then(({ status }) => status);
      const first = await Promise.race([asked, sleep("patience", "1h").then(() => "late")]);
      return step("first", () => first);
    });
  await suspension(work());
  await decide(server, await openGate(server, runId, "ask"));
  expect(await work()).toBe("approved");

  const soon = await server.tidebase.run("w", async ({ gate, sleep }) => {
    const asked = gate("ask", { prompt: "Well?" }).then(() => "decided");
    return Promise.race([asked, sleep("soon", 20).then(() => "late")]);
  });
  expect(soon).toBe("late");
});

test("a step's backoff of more than 30 seconds suspends the run, and lasts for the next worker", async () => {
  const runId = newRunId();
  const attempts: number[] = [];
  const retry = { maxAttempts: 3, minMs: 3_600_000, maxMs: 3_600_000, jitter: false };
  const work = () =>
    server.tidebase.run("w", { runId }, ({ step }) =>
      step("flaky", { retry }, ({ attempt }) => {
        attempts.push(attempt);
        if (attempt < 3) throw new Error("not yet");
        return "done";
      }),
    );
  const { data, message } = await suspension(work());
  expect(data["waits"]).toMatchObject({ retries: [{ name: "flaky", key: "" }] });
  expect(message).toContain('the next attempt at step "flaky"');
  await suspension(work());
  expect(attempts).toEqual([1]);
  await server.db.advance("61 minutes");
  await server.sweep();
  expect(await statusOf(server, runId)).toBe("pending");
  await suspension(work());
  await server.db.advance("61 minutes");
  expect(await work()).toBe("done");
  expect(attempts).toEqual([1, 2, 3]);
  expect((await server.tidebase.runs.get(runId)).run.attempts).toBe(0);
});
