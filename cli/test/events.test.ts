import { expect, test } from "vitest";
import { useDatabase } from "../../core/test/support/database.ts";
import { type Ended, runInside, useFolder } from "./support/program.ts";

const db = useDatabase();
const folder = useFolder();

function tidebase(...args: string[]): Promise<Ended> {
  return runInside(folder, args, { TIDEBASE_DATABASE_URL: db.url });
}

const linesOf = ({ stdout }: Ended) =>
  stdout
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as { seq: number; type: string });

test("events lists what happened to a run, as runs events does", async () => {
  const lease = await db.begun();
  await db.call("steps.complete", { items: [{ ...lease, name: "draw", output: 1 }] });
  const { stdout, code } = await tidebase("events", lease.runId);
  expect(code).toBe(0);
  expect(stdout).toMatch(/SEQ +AT +EVENT +DATA\n1 .*run\.created/);
  expect((await tidebase("runs", "events", lease.runId)).stdout).toBe(stdout);
  const page = await tidebase("events", lease.runId, "--after", "1", "--limit", "1", "--json");
  expect(JSON.parse(page.stdout)).toMatchObject({ events: [{ seq: 2 }], nextAfterSeq: 2 });
  const some = await tidebase("events", lease.runId, "--types", "step.completed", "--json");
  expect(JSON.parse(some.stdout).events).toMatchObject([{ type: "step.completed" }]);
});

test("--follow goes on with what happens and ends with the run, each event once", async () => {
  const lease = await db.begun();
  const followed = tidebase("events", lease.runId, "--follow", "--json");
  await db.call("steps.complete", { items: [{ ...lease, name: "draw", output: "\n" }] });
  await db.complete(lease, { result: null });
  const ended = await followed;
  expect(ended).toMatchObject({ code: 0, stderr: "" });
  const events = linesOf(ended);
  expect(events.map(({ seq }) => seq)).toEqual(events.map((_, n) => n + 1));
  expect(events.at(-1)).toMatchObject({ type: "run.completed" });
  const text = await tidebase("events", lease.runId, "--follow", "--types", "run.completed");
  expect(text.stdout).toMatch(/^ +\d+ {2}\S+Z {2}run\.completed/);
  expect(text.stdout.trimEnd().split("\n")).toHaveLength(1);
});

test("--follow of a run that has ended ends at once, also behind its last event", async () => {
  const runId = await db.pending();
  await db.call("runs.cancel", { runId, reason: "enough" });
  expect(linesOf(await tidebase("events", runId, "--follow", "--json")).at(-1)).toMatchObject({
    type: "run.cancelled",
  });
  const behind = await tidebase("events", runId, "--follow", "--after", "99");
  expect(behind).toMatchObject({ code: 0, stdout: "" });
});

test("a run there is not is told", async () => {
  for (const more of [[], ["--follow"]]) {
    const missing = `run_${"0".repeat(8)}-0000-7000-8000-${"0".repeat(12)}`;
    const { code, stderr } = await tidebase("events", missing, ...more, "--json");
    expect(code).toBe(1);
    expect(JSON.parse(stderr).error.code).toBe("run_not_found");
  }
});
