import { describe, expect, test } from "vitest";
import { useDatabase } from "../../core/test/support/database.ts";
import { type Answer, useAgent } from "./support.ts";

const db = useDatabase();
const env = () => ({ TIDEBASE_DATABASE_URL: db.url });

describe("schedules", () => {
  const agent = useAgent(env);
  const name = "nightly";
  const upsert = { name, action: "upsert" };
  const nightly = { workflow: "report", cron: "0 3 * * *", timezone: "Europe/Berlin" };

  test("a schedule is made after a dry run that shows its next five fires", async () => {
    const given = { ...upsert, ...nightly, input: { day: "all" } };
    const dry = await agent.call("tidebase_manage_schedule", given);
    expect(dry).toMatchObject({ dryRun: true, applied: false, outcome: "created", paused: false });
    expect(dry.nextFires).toHaveLength(5);
    expect(await agent.refused("tidebase_list_schedules", { name })).toMatchObject({
      code: "schedule_not_found",
    });
    const done = await agent.call("tidebase_manage_schedule", { ...given, dryRun: false });
    expect(done).toMatchObject({ applied: true, outcome: "created", nextFires: dry.nextFires });
    expect(done.untrusted.data.schedule).toEqual({ n: 1, name, queue: "default", ...nightly });
  });

  test("a change leaves what is not given as it is", async () => {
    const given = { ...upsert, cron: "30 4 * * 1", overlap: "allow" };
    const dry = await agent.call("tidebase_manage_schedule", given);
    expect(dry).toMatchObject({ outcome: "updated", changes: ["cron", "overlap"] });
    expect(dry.untrusted.data).toMatchObject({
      before: { cron: "0 3 * * *" },
      schedule: { cron: "30 4 * * 1", timezone: "Europe/Berlin" },
    });
    const done = await agent.call("tidebase_manage_schedule", { ...given, dryRun: false });
    expect(done).toMatchObject({ outcome: "updated", nextFires: dry.nextFires });
    const one = await agent.call("tidebase_list_schedules", { name });
    expect(one).toMatchObject({
      schedules: [{ n: 1, paused: false, overlap: "allow", nextFires: dry.nextFires }],
      untrusted: { data: { input: '{"day":"all"}', schedules: [{ workflow: "report" }] } },
    });
    const again = await agent.call("tidebase_manage_schedule", { ...given, dryRun: false });
    expect(again.outcome).toBe("unchanged");
  });

  test("a schedule is paused and resumed after a dry run", async () => {
    const pause = { name, action: "pause" };
    const before = await agent.call("tidebase_list_schedules", { name });
    const dry = await agent.call("tidebase_manage_schedule", pause);
    expect(dry).toMatchObject({ dryRun: true, paused: true });
    expect(dry).not.toHaveProperty("nextFires");
    expect((await agent.call("tidebase_list_schedules", { name })).schedules).toEqual(
      before.schedules,
    );
    await agent.call("tidebase_manage_schedule", { ...pause, dryRun: false });
    const { schedules, untrusted } = await agent.call("tidebase_list_schedules");
    const { n } = untrusted.data.schedules.find((row: Answer) => row.name === name);
    expect(schedules[n - 1]).toMatchObject({ n, paused: true });
    expect((await agent.call("tidebase_overview")).schedules.paused).toBeGreaterThan(0);
    const resume = { name, action: "resume" };
    const would = await agent.call("tidebase_manage_schedule", resume);
    expect(would).toMatchObject({ paused: false, nextFires: before.schedules[0].nextFires });
    const resumed = await agent.call("tidebase_manage_schedule", { ...resume, dryRun: false });
    expect(resumed).toMatchObject({ applied: true, paused: false, nextFires: would.nextFires });
  });

  test("a schedule is triggered after a dry run, once for a key", async () => {
    const trigger = { name, action: "trigger", idempotencyKey: "now" };
    const dry = await agent.call("tidebase_manage_schedule", trigger);
    expect(dry).not.toHaveProperty("runId");
    expect(dry.nextFires).toHaveLength(5);
    const { runId, status } = await agent.call("tidebase_manage_schedule", {
      ...{ ...trigger, dryRun: false },
    });
    expect(status).toBe("queued");
    const again = await agent.call("tidebase_manage_schedule", { ...trigger, dryRun: false });
    expect(again.runId).toBe(runId);
    const { fires } = await agent.call("tidebase_list_schedules", { name });
    expect(fires).toEqual([expect.objectContaining({ kind: "manual", outcome: "manual", runId })]);
  });

  test("a dry run refuses what the call would refuse, also where only a stored part is in the way", async () => {
    const refusals = async (given: object) => {
      const input = { action: "upsert", cron: "0 3 * * *", ...given };
      const dry = await agent.refused("tidebase_manage_schedule", input);
      const real = await agent.refused("tidebase_manage_schedule", { ...input, dryRun: false });
      expect(dry).toEqual(real);
      return dry.code;
    };
    const other = { name: `refused ${name}`, workflow: "x" };
    const all = { catchUp: "all", overlap: "skip" };
    expect(await refusals({ ...other, ...all })).toBe("schedule_contradiction");
    expect(await refusals({ ...other, catchUp: "all" })).toBe("schedule_contradiction");
    expect(await refusals({ ...other, queue: "a b" })).toBe("input_invalid");
    expect(await refusals({ ...other, name: ".." })).toBe("input_invalid");
    const stored = { ...other, action: "upsert", cron: "0 3 * * *", overlap: "cancel" };
    await agent.call("tidebase_manage_schedule", { ...stored, dryRun: false });
    expect(await refusals({ name: other.name, catchUp: "all" })).toBe("schedule_contradiction");
  });

  test.each([
    [{ cron: "0 3 * *", workflow: "x" }, "five fields"],
    [{ cron: "99 IGNORE * * *", workflow: "x" }, "minute (as given)"],
    [{ cron: "0 3 * * *", workflow: "x", timezone: "Mars/Base" }, "time zone"],
    [{ cron: "0 3 * * *" }, "workflow"],
    [{ action: "pause", cron: "0 3 * * *" }, "cron"],
    [{ action: "resume", idempotencyKey: "k" }, "idempotencyKey"],
  ])("%j is refused, and nothing of it repeated", async (given, said) => {
    const input = { name: "other", action: "upsert", ...given };
    const error = await agent.refused("tidebase_manage_schedule", input);
    expect(error).toMatchObject({ code: "input_invalid", message: expect.stringContaining(said) });
    expect(error.message).not.toMatch(/IGNORE|Mars/);
  });
});

describe("schedules that nobody fires", () => {
  const observer = useAgent(env, { readOnly: true });

  test("are late in the list and in the overview, and resting ones say so", async () => {
    for (const name of ["late", "resting"])
      await db.call("schedules.put", { name, workflow: "report", cron: "0 3 * * *" });
    await db.pool.query(
      "update tidebase.schedules set next_fire_at = now() - interval '2 hours' where name = 'late'",
    );
    await db.pool.query("update tidebase.schedules set failures = 5 where name = 'resting'");
    const { schedules, hints, untrusted } = await observer.call("tidebase_overview");
    expect(schedules).toMatchObject({ late: 1, resting: 1 });
    expect(schedules.worst).toMatchObject([
      { n: 1, lateFor: "2h" },
      { n: 2, failures: 5 },
    ]);
    expect(untrusted.data.schedules).toEqual([
      { n: 1, name: "late" },
      { n: 2, name: "resting" },
    ]);
    expect(hints).toContainEqual(expect.stringContaining("Late schedules"));
    const one = await observer.call("tidebase_list_schedules", { name: "late" });
    expect(one.schedules[0].late).toBe(true);
  });
});
