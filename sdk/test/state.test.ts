import { newRunId, type Run } from "@tidebase/sdk";
import { expect, test } from "vitest";
import { useServer } from "./support.ts";

const server = useServer();

/** Works on a run and gives what it threw, if it did. */
function attempt(runId: string, work: (run: Run<undefined>) => Promise<unknown>): Promise<unknown> {
  return server.tidebase.run("w", { runId }, work).catch((error: unknown) => error);
}

test("state is set, patched, labelled, read at any version, compared and restored", async () => {
  await attempt(newRunId(), async ({ state }) => {
    expect(await state.get()).toBeUndefined();
    expect(await state.set({ a: 1, b: 2 }, { reason: "start" })).toMatchObject({ version: 1 });
    expect(await state.patch({ b: null, c: [3] })).toMatchObject({ version: 2 });
    expect(await state.save("good")).toMatchObject({ version: 2 });
    expect(await state.get()).toEqual({ a: 1, c: [3] });
    expect(await state.at(1)).toEqual({ a: 1, b: 2 });
    expect(await state.read({ path: "/c/0" })).toMatchObject({ version: 2, value: 3 });
    expect(await state.diff(1, 2)).toHaveLength(2);
    expect(await state.restore(1)).toMatchObject({ version: 3 });
    expect(await state.get()).toEqual({ a: 1, b: 2 });
    const { versions } = await state.versions({ labeled: true });
    expect(versions).toMatchObject([{ version: 2, labels: [{ label: "good" }] }]);
    expect((await state.versions()).versions[0]).toMatchObject({
      reason: "restored from version 1",
    });
    const other = state.stream("other");
    expect(await other.set("elsewhere")).toMatchObject({ version: 1 });
    expect(await state.get()).toEqual({ a: 1, b: 2 });
  }).then((error) => expect(error).toBeUndefined());
});

test("a write that expects another version is refused with the present one", async () => {
  const refused = await attempt(newRunId(), async ({ state }) => {
    await state.set(1, { expectVersion: 0 });
    await state.set(2, { expectVersion: 0 });
  });
  expect(refused).toMatchObject({ code: "version_conflict", data: { latest: 1 } });
});

test("state never moves backwards on resume, whatever the order of parallel branches", async () => {
  const runId = newRunId();
  const branches = async ({ state }: Run<undefined>, order: string[]) => {
    await Promise.all(order.map((name) => state.patch({ [name]: 1 })));
    await state.patch({ tick: 1 });
    await state.patch({ tick: 1 });
  };
  await attempt(runId, async (run) => {
    await branches(run, ["a", "b", "c"]);
    await run.state.set({ later: true });
    throw new Error("crash");
  });
  await attempt(runId, async (run) => {
    await branches(run, ["c", "a", "b"]);
    expect(await run.state.set({ later: true })).toEqual({ version: 6, recorded: true });
    expect(await run.state.get()).toEqual({ later: true });
    expect(await run.state.set({ later: true })).toEqual({ version: 7, recorded: false });
  }).then((error) => expect(error).toBeUndefined());
});

test("a write inside a step belongs to that attempt of the step", async () => {
  const runId = newRunId();
  await attempt(runId, ({ state, step }) =>
    step("s", { retry: { maxAttempts: 2, minMs: 1 } }, async ({ attempt: n }) => {
      await state.patch({ seen: true });
      await state.patch({ seen: true });
      if (n === 1) throw new Error("once");
    }),
  );
  const read = await server.tidebase.call("state.versions", { runId });
  expect(read.versions).toHaveLength(4);
});

test("a write with a key of its own is made once", async () => {
  const runId = newRunId();
  for (const value of [1, 2])
    await attempt(runId, async ({ state }) => {
      await state.set(value, { key: "the first" });
      throw new Error("crash");
    });
  expect(await server.tidebase.call("state.read", { runId })).toMatchObject({
    version: 1,
    value: 1,
  });
});

test("what is not plain JSON is refused with its remedy, and nothing is written", async () => {
  for (const value of [new Date(), { a: undefined }, new Map(), () => 1, Number.NaN]) {
    const runId = newRunId();
    const refused = await attempt(runId, ({ state }) => state.set(value));
    expect(refused).toMatchObject({
      code: "state_not_json",
      message: expect.stringMatching(/ISO/),
    });
    expect(await server.tidebase.call("state.read", { runId })).toMatchObject({ version: 0 });
  }
});
