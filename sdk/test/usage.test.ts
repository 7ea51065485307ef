import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { newRunId, type Run, type UsageEntry } from "@tidebase/sdk";
import { expect, test } from "vitest";
import { useServer } from "./support.ts";

const server = useServer();
const WORKER = fileURLToPath(new URL("./usage-worker.ts", import.meta.url));

/** Works on a run and gives what it threw, if it did. */
function attempt(runId: string, work: (run: Run<undefined>) => Promise<unknown>): Promise<unknown> {
  return server.tidebase.run("w", { runId }, work).catch((error: unknown) => error);
}

async function worked(runId: string, ...place: string[]): Promise<NodeJS.Signals | number | null> {
  const flags = ["--import", "tsx", "--conditions=tidebase-source"];
  const worker = spawn(process.execPath, [...flags, WORKER, server.url, runId, ...place], {
    stdio: "inherit",
  });
  const [code, signal] = await once(worker, "exit");
  return signal ?? code;
}

const spent = async (runId: string) =>
  Object.fromEntries(
    (await server.tidebase.usage.totals({ runId, by: "label" })).groups.map(
      ({ group, costUsd, records }) => [group, [costUsd, records]],
    ),
  );

test("what is recorded in a step and replayed after a kill counts once, and a step that runs again counts again", async () => {
  const runId = newRunId();
  expect(await worked(runId, "in-step")).toBe("SIGKILL");
  expect(await worked(runId, "after-steps")).toBe("SIGKILL");
  expect(await worked(runId)).toBe(0);
  expect(await spent(runId)).toEqual({
    first: ["1", 1],
    second: ["20", 2], // killed before its completion was recorded: it spent twice
    twice: ["200", 2],
    named: ["1000", 1],
  });
}, 30_000);

test("a step that is tried again counts every attempt", async () => {
  const runId = newRunId();
  await attempt(runId, ({ step, usage }) =>
    step("s", { retry: { maxAttempts: 3, minMs: 1 } }, async ({ attempt: n }) => {
      await usage.record({ kind: "llm", label: "s", costUsd: "0.1" });
      await usage.record({ kind: "llm", label: "s", costUsd: "0.1" });
      if (n < 3) throw new Error("again");
    }),
  );
  expect(await spent(runId)).toEqual({ s: ["0.6", 6] });
});

test("outside of steps content and count tell records apart, whatever the order of the branches", async () => {
  const runId = newRunId();
  const entries: UsageEntry[] = [
    { kind: "llm", label: "a", inputTokens: 1 },
    { inputTokens: 1, label: "a", kind: "llm" },
    { kind: "llm", label: "b", inputTokens: 1, model: undefined },
  ];
  await attempt(runId, async ({ usage }) => {
    const written = await Promise.all(entries.map((entry) => usage.record(entry)));
    expect(written.map(({ recorded }) => recorded)).toEqual([false, false, false]);
    throw new Error("crash");
  });
  await attempt(runId, async ({ usage }) => {
    const written = await Promise.all(entries.reverse().map((entry) => usage.record(entry)));
    expect(written.map(({ recorded }) => recorded)).toEqual([true, true, true]);
    expect(await usage.record({ kind: "llm", label: "a", inputTokens: 1 })).toMatchObject({
      recorded: false,
    });
  }).then((error) => expect(error).toBeUndefined());
  expect(await spent(runId)).toEqual({ a: ["0", 3], b: ["0", 1] });
});

test("a record with a key of its own is the first one, whatever is said later", async () => {
  const runId = newRunId();
  const seen: unknown[] = [];
  for (const costUsd of ["1", "2"])
    await attempt(runId, async ({ step, usage }) => {
      const inside = await step(`step of ${costUsd}`, () =>
        usage.record({ kind: "llm", label: "x", costUsd, key: "invoice 7" }),
      );
      seen.push([inside.record.costUsd, inside.recorded]);
      throw new Error("crash");
    });
  expect(seen).toEqual([
    ["1", false],
    ["1", true],
  ]);
  expect(await spent(runId)).toEqual({ x: ["1", 1] });
});

test("a record whose answer is lost is sent again, and counts once", async () => {
  const runId = newRunId();
  let lost = 0;
  server.meddle = async (path, answer) => {
    const response = await answer();
    if (!path.endsWith("/usage") || lost > 0) return response;
    lost += 1;
    return new Response("<html>", { status: 502 });
  };
  await attempt(runId, ({ usage }) => usage.record({ kind: "llm", label: "x", totalTokens: 7 }));
  expect(lost).toBe(1);
  expect(await spent(runId)).toEqual({ x: ["0", 1] });
});

test("totals take a Date, a day or a time before now, and a tree; a list is paged", async () => {
  const runId = newRunId();
  await attempt(runId, async ({ usage, child }) => {
    for (const n of [1, 2, 3]) await usage.record({ kind: "llm", costUsd: n, metadata: { n } });
    await child("part", async (part) => {
      await part.usage.record({ kind: "llm", costUsd: "0.000000000001" });
    });
  }).then((error) => expect(error).toBeUndefined());
  const { usage } = server.tidebase;
  const cost = async (query: object) => (await usage.totals({ runId, ...query })).total.costUsd;
  expect(await cost({})).toBe("6");
  expect(await cost({ tree: true })).toBe("6.000000000001");
  expect(await cost({ tree: false, since: new Date(0), until: "2200-01-01" })).toBe("6");
  expect(await cost({ since: "1h" })).toBe("6");
  expect(await cost({ until: "1h" })).toBe("0");
  const first = await usage.list(runId, { limit: 2 });
  expect(first.records.map(({ costUsd, metadata }) => [costUsd, metadata])).toEqual([
    ["1", { n: 1 }],
    ["2", { n: 2 }],
  ]);
  const second = await usage.list(runId, { afterSeq: first.nextAfterSeq ?? 0 });
  expect([second.records.length, second.nextAfterSeq]).toEqual([1, null]);
  await expect(usage.totals({ runId: newRunId() })).rejects.toMatchObject({
    code: "run_not_found",
  });
  await expect(usage.totals({ since: "soon" })).rejects.toMatchObject({ code: "input_invalid" });
});

test.each<[string, unknown, string]>([
  ["without a figure", { kind: "llm" }, "input_invalid"],
  ["with an option there is not", { kind: "llm", cost: 1 }, "input_invalid"],
  ["that is none", undefined, "input_invalid"],
  ["with a negative cost", { kind: "llm", costUsd: "-1" }, "input_invalid"],
  ["with a number that is none", { kind: "llm", costUsd: Number.NaN }, "usage_not_json"],
  [
    "whose metadata JSON cannot say",
    { kind: "llm", costUsd: 1, metadata: { at: new Date() } },
    "usage_not_json",
  ],
])("a record %s is refused, and nothing is written", async (_, entry, code) => {
  const runId = newRunId();
  const refused = await attempt(runId, ({ usage }) => usage.record(entry as UsageEntry));
  expect(refused).toMatchObject({ name: "TidebaseError", code });
  expect(await spent(runId)).toEqual({});
});
