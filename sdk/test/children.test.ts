import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { newRunId, type Run, type Tidebase } from "@tidebase/sdk";
import { expect, onTestFinished, test } from "vitest";
import { decide, eventTypes, openGate, statusOf, suspension } from "./deciding.ts";
import { deferred, useServer } from "./support.ts";

const server = useServer();

/** Workers of the queue with these workflows, until the test is over. */
function workers(queue: string, workflows: Record<string, (run: Run<never>) => unknown>): Tidebase {
  const client = server.client();
  for (const [name, code] of Object.entries(workflows)) client.workflow(name, code);
  const worker = client.work({ queues: [queue], onError: () => {} });
  onTestFinished(() => worker.stop({ drainMs: 0 }));
  return client;
}

async function childrenOf(runId: string) {
  return (await server.tidebase.call("children.list", { runId })).children;
}

async function recover(runId: string): Promise<void> {
  await server.tidebase.runs.recover(runId, { dryRun: false });
}

test("a child of this process is a run of its own, and its result comes back decoded", async () => {
  const runId = newRunId();
  const at = new Date(5);
  const result = await server.tidebase.run("parent", { runId }, ({ child }) =>
    child("part", ({ input, step }: Run<Date>) => step("s", () => new Map([[1, input]])), {
      ...{ input: at, tags: ["x"], workflow: "part-code" },
    }),
  );
  expect(result).toEqual(new Map([[1, at]]));
  const [part] = await childrenOf(runId);
  expect(part).toMatchObject({ name: "part", workflow: "part-code", status: "completed" });
  const { run } = await server.tidebase.runs.get(part?.runId ?? "");
  expect(run).toMatchObject({ parentRunId: runId, tags: ["x"], attempts: 0 });
  expect((await server.tidebase.runs.steps(runId)).steps).toMatchObject([
    { name: "child:part", status: "completed" },
  ]);
});

test("a replay gives the recorded result without a request for the child", async () => {
  const runId = newRunId();
  const ran: string[] = [];
  const work = (fails: boolean) =>
    server.tidebase.run("parent", { runId }, async ({ child }) => {
      const result = await child("part", () => ran.push("part"), { key: "k", input: 1 });
      if (fails) throw new Error("crash");
      return result;
    });
  await expect(work(true)).rejects.toThrow("crash");
  server.requests.length = 0;
  expect(await work(false)).toBe(1);
  expect(ran).toEqual(["part"]);
  const asked = server.requests.filter((path) => /begin$|complete$|watch$/.test(path));
  expect(server.requests).toEqual(asked);
});

test("other content under a known name and key is child_mismatch, before and after the result", async () => {
  const runId = newRunId();
  const work = (input: number, fails: boolean) =>
    server.tidebase.run("parent", { runId }, async ({ child }) => {
      await child(
        "part",
        () => {
          if (fails) throw new Error("broken");
        },
        { input },
      );
      throw new Error("later");
    });
  await expect(work(1, true)).rejects.toMatchObject({ code: "child_failed" });
  await expect(work(2, true)).rejects.toMatchObject({ code: "child_mismatch" });
  await expect(work(1, false)).rejects.toThrow("later");
  await expect(work(2, false)).rejects.toMatchObject({ code: "child_mismatch" });
});

test("what cannot be a child is refused before any request for it", async () => {
  const part = () => 1;
  const refused = (work: (run: Run<undefined>) => Promise<unknown>) =>
    server.tidebase.run("parent", work).then(String, ({ code }: { code: string }) => code);
  expect(await refused(({ child }) => child("p", part, { queue: "q" }))).toBe("input_invalid");
  expect(await refused(({ child }) => child("p", {} as never))).toBe("input_invalid");
  expect(await refused(({ child }) => child("", part))).toBe("input_invalid");
  const strange = { idempotencyKey: "k" } as object;
  expect(await refused(({ child }) => child("p", part, strange))).toBe("input_invalid");
  expect(await refused(({ child }) => child("p", "unknown"))).toBe("workflow_not_registered");
  const twice = ({ child }: Run<undefined>) => Promise.all([child("p", part), child("p", part)]);
  expect(await refused(twice)).toBe("duplicate_step");
  const both = ({ child, fanout }: Run<undefined>) =>
    Promise.all([child("p", part), fanout("p", [{ workflow: part }])]);
  expect(await refused(both)).toBe("input_invalid");
});

test("a failed child is child_failed with its cause; begun again, the parent begins it once more", async () => {
  const runId = newRunId();
  const done: string[] = [];
  const work = (fails: boolean) =>
    server.tidebase.run("parent", { runId }, ({ child }) =>
      child("part", async ({ step }) => {
        await step("first", () => done.push("first"));
        if (fails) throw new TypeError("broken");
        return step("second", () => done.push("second"));
      }),
    );
  await expect(work(true)).rejects.toMatchObject({
    code: "child_failed",
    cause: new TypeError("broken"),
    data: { name: "part", key: "", failureClass: "workflow_error", message: "broken" },
  });
  expect(await statusOf(server, runId)).toBe("failed");
  expect(await work(false)).toBe(2);
  expect(done).toEqual(["first", "second"]);
  expect(await childrenOf(runId)).toHaveLength(1);
});

test("a queued child suspends its parent, which its end wakes and whose result it finds", async () => {
  const runId = newRunId();
  const tidebase = server.client();
  const work = () =>
    tidebase.run("parent", { runId }, ({ child }) =>
      child<number>("part", "double", { queue: "doubles", input: 21, priority: 5 }),
    );
  const { data } = await suspension(work());
  expect(data["waits"]).toMatchObject({ children: [{ name: "part", key: "" }] });
  workers("doubles", { double: ({ input }) => input * 2 });
  await expect.poll(() => statusOf(server, runId)).toBe("pending");
  expect(await work()).toBe(42);
  expect(await eventTypes(server, runId)).toEqual(
    expect.arrayContaining(["child.created", "run.suspended", "child.ended", "run.woken"]),
  );
});

test("a parent that blocks keeps its process and hears of the end", async () => {
  workers("halves", { half: ({ input }) => input / 2 });
  const result = server.tidebase.run("parent", { onWait: "block" }, ({ child }) =>
    child<number>("part", "half", { queue: "halves", input: 42 }),
  );
  expect(await result).toBe(21);
});

test("a queued child that failed is child_failed until somebody recovers it", async () => {
  const runId = newRunId();
  let isBroken = true;
  workers("fragile", {
    part: () => {
      if (isBroken) throw new Error("broken");
      return "mended";
    },
  });
  const work = () =>
    server.tidebase.run("parent", { runId, onWait: "block" }, ({ child }) =>
      child("part", "part", { queue: "fragile", maxAttempts: 1 }),
    );
  const failed = { code: "child_failed", data: { failureClass: "max_attempts" } };
  await expect(work()).rejects.toMatchObject(failed);
  await expect(work()).rejects.toMatchObject(failed);
  isBroken = false;
  const [part] = await childrenOf(runId);
  await recover(part?.runId ?? "");
  expect(await work()).toBe("mended");
});

test("a cancelled child is child_cancelled with the reason", async () => {
  const runId = newRunId();
  const work = () =>
    server.tidebase.run("parent", { runId }, ({ child }) =>
      child("part", "part", { queue: "nobody" }),
    );
  await suspension(work());
  const [part] = await childrenOf(runId);
  await server.tidebase.cancel(part?.runId ?? "", { reason: "no longer needed" });
  await expect(work()).rejects.toMatchObject({
    code: "child_cancelled",
    data: { childRunId: part?.runId, message: "no longer needed" },
  });
});

test("a cancelled parent takes its child in this process with it, unless it is detached", async () => {
  const runId = newRunId();
  const [begun, free] = [deferred(), deferred()];
  const aborted: string[] = [];
  const part =
    (name: string) =>
    ({ signal, step }: Run<undefined>) =>
      step("s", async () => {
        signal.addEventListener("abort", () => aborted.push(name));
        if (name === "kept") begun.resolve();
        await Promise.race([
          free.promise,
          new Promise((_, no) => signal.addEventListener("abort", no)),
        ]);
        return name;
      });
  const attempt = server.tidebase.run("parent", { runId }, ({ child }) =>
    Promise.all([child("taken", part("taken")), child("kept", part("kept"), { detach: true })]),
  );
  const ended = attempt.catch((error: unknown) => error); // it may hear of it before who cancels
  await begun.promise;
  await expect.poll(async () => (await childrenOf(runId)).length).toBe(2);
  await server.tidebase.cancel(runId);
  expect(await ended).toMatchObject({ code: "run_cancelled" });
  await expect.poll(() => aborted).toEqual(["taken"]);
  free.resolve();
  const statuses = async () => (await childrenOf(runId)).map(({ name, status }) => [name, status]);
  await expect.poll(statuses).toEqual([
    ["kept", "completed"],
    ["taken", "cancelled"],
  ]);
});

test("a parent that fails hands its child back after the step that runs, and resumes it", async () => {
  const runId = newRunId();
  const begun = deferred();
  const done: string[] = [];
  const work = (fails: boolean) =>
    server.tidebase.run("parent", { runId }, async ({ child, step }) => {
      const part = child("part", async (run: Run<undefined>) => {
        await run.step("first", async () => {
          begun.resolve();
          if (fails) await once(run.signal, "abort"); // the parent has failed, and the step goes on to its end
          done.push("first");
        });
        return run.step("second", () => done.push("second"));
      });
      const other = step("other", async () => {
        await begun.promise;
        if (fails) throw new Error("crash");
      });
      return (await Promise.all([part, other]))[0];
    });
  await expect(work(true)).rejects.toThrow("crash");
  const [part] = await childrenOf(runId);
  expect(part).toMatchObject({ status: "pending", failureClass: null });
  expect(await work(false)).toBe(2);
  expect(done).toEqual(["first", "second"]);
});

test("a child of this process that suspends makes its parent wait for it", async () => {
  const runId = newRunId();
  const done: string[] = [];
  const tidebase = server.client();
  const part = tidebase.workflow("asks", async ({ gate, step }) => {
    await step("before", () => done.push("before"));
    return (await gate("ask", { prompt: "Well?" })).status;
  });
  const work = () => tidebase.run("parent", { runId }, ({ child }) => child("part", part));
  expect((await suspension(work())).data["waits"]).toMatchObject({ children: [{ name: "part" }] });
  const [made] = await childrenOf(runId);
  const childRunId = made?.runId ?? "";
  expect(await statusOf(server, childRunId)).toBe("waiting");
  await suspension(work()); // the child still waits: it is not begun
  expect((await server.tidebase.runs.get(childRunId)).run.epoch).toBe(1);
  await decide(server, await openGate(server, childRunId, "ask"));
  expect(await statusOf(server, childRunId)).toBe("pending");
  expect(await work()).toBe("approved");
  expect(done).toEqual(["before"]);
});

test("the end of a suspended child that somebody else resumed wakes the parent", async () => {
  const runId = newRunId();
  const tidebase = server.client();
  tidebase.workflow("asks", async ({ gate }) => (await gate("ask", { prompt: "Well?" })).status);
  const work = () => tidebase.run("parent", { runId }, ({ child }) => child("part", "asks"));
  await suspension(work());
  const [made] = await childrenOf(runId);
  await decide(server, await openGate(server, made?.runId ?? "", "ask"));
  expect(await tidebase.resume(made?.runId ?? "")).toBe("approved");
  expect(await statusOf(server, runId)).toBe("pending");
  expect(await work()).toBe("approved");
});

test("children have children, and a child's short wait is spent in the process", async () => {
  const result = server.tidebase.run("grandparent", ({ child }) =>
    child("parent", ({ child: below }) =>
      below("child", async ({ sleep }) => {
        await sleep("nap", 20);
        return "deep";
      }),
    ),
  );
  expect(await result).toBe("deep");
});

test("a parent that is killed while it waits, or while it works on its child, has one child and one result", async () => {
  const [waiting, working] = [newRunId(), newRunId()];
  const path = fileURLToPath(new URL("./child-worker.ts", import.meta.url));
  const flags = ["--import", "tsx", "--conditions=tidebase-source"];
  const args = [...flags, path, server.url, waiting, working];
  const doomed = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
  onTestFinished(() => void doomed.kill("SIGKILL"));
  await once(doomed.stdout, "data");
  const created = async () => (await childrenOf(waiting)).length;
  await expect.poll(created, { timeout: 10_000 }).toBe(1);
  doomed.kill("SIGKILL");
  await once(doomed, "exit");
  workers("parts", { part: ({ input }) => input + 1 });
  const block = { runId: waiting, onWait: "block" } as const;
  const waited = await server.tidebase.run("parent", block, ({ child }) =>
    child("part", "part", { queue: "parts", input: 1 }),
  );
  const ran: string[] = [];
  const worked = await server.tidebase.run("parent", { runId: working }, ({ child }) =>
    child("part", async ({ step }) => {
      await step("first", () => ran.push("first"));
      return step("second", () => ran.push("second"));
    }),
  );
  expect([waited, worked, ran]).toEqual([2, 1, ["second"]]);
  expect([(await childrenOf(waiting)).length, (await childrenOf(working)).length]).toEqual([1, 1]);
}, 30_000);
