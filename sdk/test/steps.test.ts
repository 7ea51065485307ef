import { newRunId, type Run, type StepContract } from "@tidebase/sdk";
import { expect, test } from "vitest";
import { deferred, useServer } from "./support.ts";

const server = useServer();

type Steps = Run<undefined>["step"];

/** Runs one attempt and gives what it threw, if it did. */
function attempt(runId: string, work: (step: Steps) => Promise<unknown>): Promise<unknown> {
  return server.tidebase
    .run("w", { runId }, ({ step }) => work(step))
    .catch((error: unknown) => error);
}

async function stepsOf(runId: string) {
  return (await server.tidebase.runs.steps(runId)).steps;
}

const crash = () => Promise.reject(new Error("crash"));

test("what a step returns is what a replay returns, whatever its type", async () => {
  const runId = newRunId();
  const value = {
    ...{ when: new Date(1), big: 2n ** 70n, nothing: undefined, minusZero: -0 },
    ...{ map: new Map([["a", new Set([1])]]), bytes: Buffer.from("é"), text: "\0\ud800" },
  };
  const seen: unknown[] = [];
  const work = async (step: Steps) => {
    seen.push(await step("values", () => value));
    if (seen.length === 1) await crash();
  };
  await attempt(runId, work);
  await attempt(runId, work);
  expect(seen).toHaveLength(2);
  expect(seen[0]).not.toBe(value);
  expect(seen).toEqual([value, value]);
});

test("a completed step is not replayed for another input, and the error names what differs", async () => {
  const runId = newRunId();
  const work = (to: string) => async (step: Steps) => {
    await step("mail", { input: { to, text: "hi" } }, () => `sent to ${to}`);
    await crash();
  };
  await attempt(runId, work("ann"));
  expect(await attempt(runId, work("bob"))).toMatchObject({
    code: "input_mismatch",
    message: expect.stringContaining("/to"),
    data: {
      paths: ["/to"],
      recordedHash: expect.stringMatching(/^v1:/),
      inputHash: expect.stringMatching(/^v1:/),
    },
  });
  const withoutInput = await attempt(runId, (step) => step("mail", () => "not sent"));
  expect(withoutInput).toBe("sent to ann");
});

test("the same name and key twice in one attempt is a duplicate_step that says what to do", async () => {
  const duplicate = await attempt(newRunId(), async (step) => {
    await step("s", { key: "1" }, () => 1);
    await step("s", { key: "1" }, () => 2);
  });
  expect(duplicate).toMatchObject({
    code: "duplicate_step",
    message: expect.stringMatching(/"s" with key "1".*key/),
  });
});

test("a contract that the server would refuse is refused before the effect", async () => {
  const bad: [string, StepContract][] = [
    ["", {}],
    ["x".repeat(201), {}],
    ["\ud800", {}],
    ["s", { key: "\0" }],
    ["s", { retry: { maxAttempts: 0 } }],
    ["s", { timeoutMs: 0.5 }],
    ["s", { sideEffects: [""] }],
    ["s", { replay: "sometimes" as never }],
  ];
  for (const [name, contract] of bad) {
    let called = false;
    const work = () => {
      called = true;
    };
    const refused = await attempt(newRunId(), (step) => step(name, contract, work));
    expect(refused, JSON.stringify([name, contract])).toMatchObject({ code: "input_invalid" });
    expect(called).toBe(false);
  }
});

test("a step without its function is refused with what it should look like", async () => {
  type Loose = (...given: unknown[]) => Promise<unknown>;
  const forgotten: unknown[][] = [["s"], ["s", {}], ["s", undefined, "work"], ["s", "key", crash]];
  for (const given of forgotten) {
    const refused = await attempt(newRunId(), (step) => (step as Loose)(...given));
    expect(refused, JSON.stringify(given)).toMatchObject({
      code: "input_invalid",
      message: expect.stringMatching(/^Step "s": .*function/),
    });
  }
});

test("a failure that cannot even be looked at is recorded all the same", async () => {
  const runId = newRunId();
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  let thrown: unknown;
  try {
    await server.tidebase.run("w", { runId }, ({ step }) => step("s", () => Promise.reject(proxy)));
  } catch (error) {
    thrown = error;
  }
  expect(thrown === proxy).toBe(true);
  expect(await stepsOf(runId)).toMatchObject([
    { status: "failed_retryable", error: { message: "An error that cannot be read was thrown." } },
  ]);
  const { run } = await server.tidebase.runs.get(runId);
  expect(run).toMatchObject({ status: "failed", failureClass: "step_failed" });
});

test("an effect is announced before its function is called; what only reads is not", async () => {
  await attempt(newRunId(), async (step) => {
    await step("read", { sideEffects: ["read"] }, () => 1);
    await step("auto", { replay: "auto" }, () => 1);
    expect(server.requests).not.toContain("/v1/steps/begin");
    await step("pay", { sideEffects: ["payment"] }, () => {
      expect(server.requests).toContain("/v1/steps/begin");
    });
    for (const replay of ["manual", "never"] as const) {
      server.requests.length = 0;
      await step(replay, { replay }, () => expect(server.requests).toEqual(["/v1/steps/begin"]));
    }
  });
});

test("a step that takes long is shown as running, and its completion counts", async () => {
  const runId = newRunId();
  const result = await attempt(runId, (step) =>
    step("slow", async () => {
      await expect.poll(async () => (await stepsOf(runId))[0]?.status).toBe("begun");
      return "done";
    }),
  );
  expect(result).toBe("done");
  expect(await stepsOf(runId)).toMatchObject([{ name: "slow", status: "completed" }]);
});

test("a step is tried again by its policy, and the context counts the attempts", async () => {
  const attempts: number[] = [];
  const retry = { maxAttempts: 3, minMs: 10 };
  const runId = newRunId();
  const result = await attempt(runId, (step) =>
    step("flaky", { retry, idempotencyKey: "k" }, (context) => {
      attempts.push(context.attempt);
      expect(context.idempotencyKey).toBe("k");
      if (context.attempt < 3) throw new Error("not yet");
      return "done";
    }),
  );
  expect(result).toBe("done");
  expect(attempts).toEqual([1, 2, 3]);
  expect(await stepsOf(runId)).toMatchObject([{ status: "completed", attempt: 3 }]);
});

test("an announced step is tried again within its own attempt, and stops for review when it is spent", async () => {
  const runId = newRunId();
  let calls = 0;
  const charge = (step: Steps) =>
    step("charge", { sideEffects: ["payment"], retry: { maxAttempts: 2, minMs: 1 } }, () => {
      calls += 1;
      throw new Error("declined");
    });
  expect(await attempt(runId, charge)).toMatchObject({ message: "declined" });
  expect(calls).toBe(2);
  expect(await stepsOf(runId)).toMatchObject([{ status: "manual_review", reason: "error" }]);
  expect(await attempt(runId, charge)).toMatchObject({ code: "manual_review_required" });
  expect(calls).toBe(2);
});

test("failures and their delay survive the worker", async () => {
  const runId = newRunId();
  const [attempts, begun]: [number[], number[]] = [[], []];
  const retry = { maxAttempts: 3, minMs: 400, factor: 1, jitter: false };
  const flaky = (step: Steps) =>
    step("flaky", { retry }, ({ attempt: n }) => {
      attempts.push(n);
      begun.push(performance.now());
      throw new Error(`failure ${n}`);
    });
  const first = server.client();
  const lost = first
    .run("w", { runId }, ({ step }) => flaky(step))
    .catch((error: unknown) => error);
  await expect.poll(async () => (await stepsOf(runId))[0]?.status).toBe("failed_retryable");
  await first.close();
  expect(await lost).toMatchObject({ code: "run_released" });
  expect(await attempt(runId, flaky)).toMatchObject({ message: "failure 3" });
  expect(attempts).toEqual([1, 2, 3]);
  const [one = 0, two = 0] = begun;
  expect(two - one).toBeGreaterThan(380);
});

test("a timeout aborts the step's signal alone, and the retry waits for the function to settle", async () => {
  const runId = newRunId();
  let running = 0;
  const contract = { timeoutMs: 30, retry: { maxAttempts: 2, minMs: 1 } };
  const result = await server.tidebase.run("w", { runId }, ({ step, signal }) =>
    step("stubborn", contract, async (context) => {
      running += 1;
      expect(running).toBe(1);
      const aborted = deferred();
      if (context.attempt === 2) return signal.aborted;
      context.signal.addEventListener("abort", () => aborted.resolve());
      await aborted.promise;
      await new Promise((resolve) => setImmediate(resolve));
      running -= 1;
      throw new Error("gave up late");
    }),
  );
  expect(result).toBe(false);
  const { events } = await server.tidebase.call("events.list", { runId, types: ["step.failed"] });
  expect(events).toMatchObject([{ data: { reason: "timeout" } }]);
});

test("what a function returns after its time is recorded, not repeated", async () => {
  let calls = 0;
  const contract = { timeoutMs: 20, retry: { maxAttempts: 2, minMs: 1 } };
  const result = await attempt(newRunId(), (step) =>
    step("late", contract, async ({ signal }) => {
      calls += 1;
      await expect.poll(() => signal.aborted).toBe(true);
      return "done all the same";
    }),
  );
  expect([result, calls]).toEqual(["done all the same", 1]);
});

test("the last attempt is not waited for when its time is over", async () => {
  const runId = newRunId();
  const never = attempt(runId, (step) =>
    step("hung", { timeoutMs: 20 }, () => new Promise(() => {})),
  );
  expect(await never).toMatchObject({ code: "step_timeout" });
  expect(await stepsOf(runId)).toMatchObject([{ status: "failed_retryable", reason: "timeout" }]);
});

test("an output that cannot be kept, or is too large, does not lose the effect", async () => {
  const outputs: [string, () => unknown][] = [
    ["unserializable_output", () => ({ socket: () => {} })],
    ["output_too_large", () => "x".repeat(1_100_000)],
    ["output_too_large", () => "x".repeat(17_000_000)],
  ];
  for (const [code, output] of outputs) {
    const runId = newRunId();
    let calls = 0;
    const pay = (step: Steps) =>
      step("pay", { sideEffects: ["payment"], retry: { maxAttempts: 5 } }, () => {
        calls += 1;
        return output();
      });
    expect(await attempt(runId, pay)).toMatchObject({ code });
    expect(await stepsOf(runId)).toMatchObject([{ status: "manual_review", reason: code }]);
    expect(await attempt(runId, pay)).toMatchObject({ code: "manual_review_required" });
    expect(calls).toBe(1);
  }
});

test("one output that is too large costs its neighbours of the same request nothing", async () => {
  const outcomes = await Promise.all(
    ["small", "x".repeat(1_100_000), "other"].map((output, n) =>
      attempt(newRunId(), (step) => step(`s${n}`, () => output)),
    ),
  );
  expect(outcomes).toEqual([
    "small",
    expect.objectContaining({ code: "output_too_large" }),
    "other",
  ]);
});

test("a step whose contract was softened after an unknown outcome still waits for its review", async () => {
  const runId = newRunId();
  const worker = server.client();
  const begun = deferred();
  void worker
    .run("w", { runId }, ({ step }) =>
      step("pay", { sideEffects: ["payment"] }, () => {
        begun.resolve();
        return new Promise(() => {});
      }),
    )
    .catch(() => {});
  await begun.promise;
  await worker.close();
  const again = await attempt(runId, (step) => step("renamed", { was: ["pay"] }, () => 1));
  expect(again).toMatchObject({ code: "manual_review_required" });
  await server.tidebase.call("steps.review", {
    ...{ runId, name: "pay", decision: "completed", output: 7, reason: "asked the bank" },
    dryRun: false,
  });
  expect(await attempt(runId, (step) => step("renamed", { was: ["pay"] }, () => 1))).toBe(7);
});
