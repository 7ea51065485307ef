import {
  type ChildWorkflow,
  type FanoutChild,
  newRunId,
  type Run,
  type SettledChild,
  type Tidebase,
} from "@tidebase/sdk";
import { expect, onTestFinished, test } from "vitest";
import { decide, openGate, statusOf, suspension } from "./deciding.ts";
import { deferred, useServer } from "./support.ts";

const server = useServer();

/** A worker of the queue with this workflow `part`, until the test is over. */
function worker(queue: string, part: (run: Run<never>) => unknown): void {
  const client = server.client();
  client.workflow("part", part);
  const working = client.work({ queues: [queue], concurrency: 20, onError: () => {} });
  onTestFinished(() => working.stop({ drainMs: 0 }));
}

async function childrenOf(runId: string) {
  return (await server.tidebase.call("children.list", { runId, limit: 1000 })).children;
}

async function recover(tidebase: Tidebase, runId: string): Promise<void> {
  await tidebase.runs.recover(runId, { dryRun: false });
}

/** Children with these inputs, all with the same code. */
function parts<Input, Result>(
  inputs: readonly Input[],
  workflow: ChildWorkflow<Input, Result>,
): FanoutChild<Input, Result>[] {
  return inputs.map((input) => ({ workflow, input }));
}

const broken = ({ input }: Run<number>) => {
  if (input < 0) throw new Error(`broken ${input}`);
  return input * 10;
};

test("all gives the results in order, created in one request and checkpointed as one step", async () => {
  const runId = newRunId();
  const work = (fails: boolean) =>
    server.tidebase.run("parent", { runId }, async ({ fanout }) => {
      const all = await fanout("parts", parts([3, 1, 2], broken));
      if (fails) throw new Error("crash");
      return all;
    });
  await expect(work(true)).rejects.toThrow("crash");
  const created = server.requests.filter((path) => path === `/v1/runs/${runId}/children`);
  expect(created).toHaveLength(1);
  const { steps } = await server.tidebase.runs.steps(runId);
  expect(steps).toMatchObject([{ name: "join:parts", status: "completed" }]);
  server.requests.length = 0;
  expect(await work(false)).toEqual([30, 10, 20]);
  expect(server.requests.filter((path) => /children|steps/.test(path))).toEqual([]);
});

test("children of a queue are one wait of their parent, and it joins them when the last has ended", async () => {
  const runId = newRunId();
  const work = () =>
    server.tidebase.run("parent", { runId }, ({ fanout }) =>
      fanout("parts", parts([1, 2, 3, 4, 5], "part"), { queue: "all" }),
    );
  const { data } = await suspension(work());
  expect(data["waits"]).toMatchObject({ joins: [{ name: "parts", mode: "all" }] });
  worker("all", broken);
  await expect.poll(() => statusOf(server, runId)).toBe("pending");
  expect(await work()).toEqual([10, 20, 30, 40, 50]);
});

test("all waits for every child before it names those that failed; recovered ones count the next time", async () => {
  const runId = newRunId();
  let isBroken = true;
  worker("fragile", (run) => (isBroken ? broken(run) : "mended"));
  const work = () =>
    server.tidebase.run("parent", { runId, onWait: "block" }, ({ fanout }) =>
      fanout("parts", parts([1, -2, 3], "part"), { queue: "fragile", maxAttempts: 1 }),
    );
  await expect(work()).rejects.toMatchObject({
    code: "fanout_failed",
    data: { count: 3, failedCount: 1, failed: [{ key: "1", message: "broken -2" }] },
  });
  const children = await childrenOf(runId);
  expect(children.map(({ status }) => status)).toEqual(["completed", "failed", "completed"]);
  isBroken = false;
  await recover(server.tidebase, children[1]?.runId ?? "");
  expect(await work()).toEqual([10, "mended", 30]);
});

test("begun again, a parent begins the children of its own process that had failed, and no other", async () => {
  const runId = newRunId();
  const ran: number[] = [];
  const work = (fails: boolean) =>
    server.tidebase.run("parent", { runId }, ({ fanout }) =>
      fanout(
        "parts",
        parts([0, 1, 2], ({ input }) => {
          ran.push(input);
          if (fails && input === 1) throw new Error("broken");
          return input;
        }),
      ),
    );
  await expect(work(true)).rejects.toMatchObject({
    code: "fanout_failed",
    cause: new Error("broken"),
  });
  expect(await work(false)).toEqual([0, 1, 2]);
  expect(ran.toSorted()).toEqual([0, 1, 1, 2]);
});

test("settled gives how each child ended, with plain failures that a replay gives again", async () => {
  const runId = newRunId();
  worker("settled", broken);
  const seen: SettledChild[][] = [];
  const work = (fails: boolean) =>
    server.tidebase.run("parent", { runId, onWait: "block" }, async ({ fanout }) => {
      const queued = { join: "settled", queue: "settled", maxAttempts: 1 } as const;
      seen.push(await fanout("queued", parts([1, -1], "part"), queued));
      seen.push(await fanout("here", parts([1, -1], broken), { join: "settled" }));
      if (fails) throw new Error("crash");
    });
  await expect(work(true)).rejects.toThrow("crash");
  await work(false);
  for (const settled of seen)
    expect(settled).toEqual([
      { status: "completed", result: 10 },
      {
        status: "failed",
        error: expect.objectContaining({ code: "child_failed", key: "1", message: "broken -1" }),
      },
    ]);
  expect(seen.slice(0, 2)).toEqual(seen.slice(2));
});

test("any gives the first result, and fanout_failed only when there is none", async () => {
  worker("any", broken);
  const runId = newRunId();
  const first = server.tidebase.run("parent", { runId, onWait: "block" }, async ({ fanout }) => [
    await fanout("q", parts([-1, 2], "part"), { queue: "any", join: "any", maxAttempts: 1 }),
    await fanout("here", parts([-1, 2], broken), { join: "any" }),
  ]);
  const won = { index: 1, key: "1", result: 20 };
  expect(await first).toEqual([won, won]);
  const none = server.tidebase.run("parent", ({ fanout }) =>
    fanout("here", parts([-1, -2], broken), { join: "any" }),
  );
  await expect(none).rejects.toMatchObject({ code: "fanout_failed", data: { failedCount: 2 } });
});

test("the others of any go on to their ends, or are cancelled", async () => {
  const runId = newRunId();
  const [won, end] = [deferred(), deferred()];
  const slow = async ({ input, signal, step }: Run<number>) =>
    step("s", async () => {
      if (input === 0) return "fast";
      const stop = new Promise((_, no) => signal.addEventListener("abort", no));
      await Promise.race([end.promise, stop]);
      return "slow";
    });
  const result = server.tidebase.run("parent", { runId }, async ({ fanout }) => {
    const cancelled = { join: "any", cancelRest: true } as const;
    const rest = await fanout("cancelled", parts([0, 1], slow), cancelled);
    const goes = await fanout("goes", parts([0, 1], slow), { join: "any" });
    won.resolve();
    return [rest.result, goes.result];
  });
  await won.promise;
  end.resolve();
  expect(await result).toEqual(["fast", "fast"]);
  const ends = (await childrenOf(runId)).map(({ name, key, status }) => `${name} ${key} ${status}`);
  expect(ends).toEqual([
    ...["cancelled 0 completed", "cancelled 1 cancelled"],
    ...["goes 0 completed", "goes 1 completed"],
  ]);
});

test("maxConcurrency is reached and never exceeded, in this process and in a queue", async () => {
  let [limit, running, most, full] = [3, 0, 0, deferred()];
  const part = ({ step }: Run<number>) =>
    step("s", async () => {
      running += 1;
      most = Math.max(most, running);
      if (running >= limit) full.resolve();
      await full.promise;
      await new Promise((resolve) => setImmediate(resolve));
      running -= 1;
    });
  worker("limited", part);
  const inputs = Array.from({ length: 8 }, (_, n) => n);
  await server.tidebase.run("parent", { onWait: "block" }, async ({ fanout }) => {
    await fanout("here", parts(inputs, part), { maxConcurrency: limit });
    expect(most).toBe(3);
    [limit, most, full] = [2, 0, deferred()];
    await fanout("queued", parts(inputs, "part"), { queue: "limited", maxConcurrency: limit });
  });
  expect(most).toBe(2);
});

test("twenty children and twenty steps in parallel, with steps of their own, all come to their end", async () => {
  const n = Array.from({ length: 20 }, (_, index) => index);
  const result = server.tidebase.run("parent", async ({ child, fanout, step }) => {
    const steps = n.map((key) => step("s", { key: `${key}` }, () => key));
    const single = n.map((key) =>
      child("one", ({ step: own }) => own("s", () => key), { key: `${key}` }),
    );
    const many = fanout(
      "many",
      parts(n, async ({ input, step: own }) => own("s", () => input)),
    );
    return Promise.all([Promise.all(steps), Promise.all(single), many]);
  });
  expect(await result).toEqual([n, n, n]);
});

test("results that are too large together stay with the children, and a replay reads them there", async () => {
  const runId = newRunId();
  const large = ({ input }: Run<number>) => String(input).repeat(400_000);
  const work = (fails: boolean) =>
    server.tidebase.run("parent", { runId }, async ({ fanout }) => {
      const all = await fanout("parts", parts([1, 2, 3], large));
      if (fails) throw new Error("crash");
      return all.map((text) => [text[0], text.length]);
    });
  await expect(work(true)).rejects.toThrow("crash");
  server.requests.length = 0;
  const lengths = ["1", "2", "3"].map((digit) => [digit, 400_000]);
  expect(await work(false)).toEqual(lengths);
  expect(server.requests.filter((path) => /children/.test(path))).toHaveLength(1);
});

test("more than a thousand children are created in batches and waited for as one", async () => {
  const runId = newRunId();
  const inputs = Array.from({ length: 1001 }, (_, n) => n);
  const attempt = server.tidebase.run("parent", { runId }, ({ fanout }) =>
    fanout("parts", parts(inputs, "part"), { queue: "nobody" }),
  );
  const { data } = await suspension(attempt);
  expect(data["waits"]).toMatchObject({ joins: [{ name: "parts", mode: "all" }] });
  const created = server.requests.filter((path) => path === `/v1/runs/${runId}/children`);
  expect(created).toHaveLength(2 + 2); // two that create, two pages to look
});

test("a fan-out whose children wait for something suspends its parent, and goes on with those that are ready", async () => {
  const runId = newRunId();
  const work = () =>
    server.tidebase.run("parent", { runId }, ({ fanout }) =>
      fanout(
        "parts",
        parts(["a", "b"], async ({ input, gate }) => {
          if (input === "a") return input;
          return (await gate("ask", { prompt: "Well?" })).status;
        }),
      ),
    );
  expect((await suspension(work())).data["waits"]).toMatchObject({ joins: [{ name: "parts" }] });
  const asking = (await childrenOf(runId))[1]?.runId ?? "";
  await decide(server, await openGate(server, asking, "ask"));
  expect(await work()).toEqual(["a", "approved"]);
});

test("other children than were recorded are child_mismatch, and what is no fan-out is refused", async () => {
  const runId = newRunId();
  const work = (inputs: readonly number[]) =>
    server.tidebase.run("parent", { runId }, async ({ fanout }) => {
      await fanout("parts", parts(inputs, broken));
      throw new Error("later");
    });
  await expect(work([1, 2])).rejects.toThrow("later");
  await expect(work([1, 3])).rejects.toMatchObject({ code: "child_mismatch" });
  await expect(work([1, 2, 3])).rejects.toMatchObject({ code: "child_mismatch" });
  const refused = (children: unknown, options: object = {}) =>
    server.tidebase
      .run("parent", ({ fanout }) => fanout("parts", children as never, options))
      .then(
        (value) => value,
        ({ code }: { code: string }) => code,
      );
  expect(await refused([])).toEqual([]);
  expect(await refused([], { join: "any" })).toBe("input_invalid");
  expect(await refused("no list")).toBe("input_invalid");
  expect(await refused(parts([1], broken), { maxConcurrency: 0 })).toBe("input_invalid");
  expect(await refused(parts([1], broken), { join: "bogus" })).toBe("input_invalid");
  expect(await refused(parts([1], broken), { concurrency: 2 })).toBe("input_invalid");
  expect(await refused([{ workflow: broken, input: 1, queue: "q" }])).toBe("input_invalid");
  expect(await refused(parts([1, 2], broken).map((one) => ({ ...one, key: "k" })))).toBe(
    "input_invalid",
  );
});

test("a limit that is too large and a fan-out that is too wide are refused in the words of the caller, with no child made", async () => {
  const queue = "too-large";
  const tooMany = server.tidebase.run("parent", ({ fanout }) =>
    fanout("parts", parts([1], "part"), { queue, maxConcurrency: 1e9 }),
  );
  await expect(tooMany).rejects.toThrow("maxConcurrency must be a whole number from 1 to 1000000");
  const runId = newRunId();
  const tooWide = server.tidebase.run("parent", { runId }, ({ fanout }) =>
    fanout("parts", parts(Array.from({ length: 10_001 }).fill(1), "part"), { queue }),
  );
  await expect(tooWide).rejects.toMatchObject({ code: "run_too_wide" });
  expect(await childrenOf(runId)).toEqual([]);
});
