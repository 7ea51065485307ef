import { expect, test } from "vitest";
import { useDatabase } from "../../core/test/support/database.ts";
import { type Ended, runInside, useFolder } from "./support/program.ts";

const db = useDatabase();
const folder = useFolder();
const env = { TIDEBASE_DATABASE_URL: db.url };

function tidebase(...args: string[]): Promise<Ended> {
  return runInside(folder, ["schedules", ...args], env);
}

async function json(...args: string[]): Promise<Record<string, unknown>> {
  const { stdout, stderr } = await tidebase(...args, "--json");
  expect(stderr).toBe("");
  return JSON.parse(stdout);
}

const nightly = ["put", "nightly", "--cron", "0 3 * * *", "--workflow", "report"];

test("put makes a schedule, changes it, and tells when the same again changes nothing", async () => {
  const flags = ["--timezone", "Europe/Berlin", "--overlap", "allow", "--catch-up", "all"];
  const more = ["--queue", "reports", "--input", '{"a":1}', "--deadline", "1h", "--tags", "x,y"];
  const made = await tidebase(...nightly, ...flags, ...more);
  expect(made.stderr).toBe("The schedule is made.\n");
  expect(made.stdout).toMatch(/cron +0 3 \* \* \*, Europe\/Berlin\n/);
  expect((await tidebase(...nightly, ...flags, ...more)).stderr).toContain("nothing is changed");
  expect(await json("show", "nightly")).toMatchObject({
    schedule: {
      ...{ queue: "reports", input: { a: 1 }, deadlineMs: 3_600_000, tags: ["x", "y"] },
      ...{ overlap: "allow", catchUp: "all", timezone: "Europe/Berlin" },
    },
  });
  expect((await tidebase("show", "nightly")).stdout.match(/next fire/g)).toHaveLength(5);
  expect(await json(...nightly, "--paused")).toMatchObject({ outcome: "updated" });
  const wrong = await tidebase("put", "never", "--cron", "61 * * * *", "--workflow", "w", "--json");
  expect(JSON.parse(wrong.stderr).error.code).toBe("cron_invalid");
});

test("a schedule is listed, paused, resumed, triggered and deleted", async () => {
  await tidebase("put", "hourly", "--cron", "@hourly", "--workflow", "tick");
  expect((await tidebase("pause", "hourly")).stdout).toMatch(/state +paused since 2/);
  expect((await tidebase("list")).stdout).toMatch(/hourly +paused +@hourly +UTC +tick/);
  expect((await tidebase("resume", "hourly")).stdout).toMatch(/state +live\n/);
  const { runId } = await json("trigger", "hourly", "--idempotency-key", "once");
  expect(await json("trigger", "hourly", "--idempotency-key", "once")).toMatchObject({ runId });
  const fires = await tidebase("fires", "hourly");
  expect(fires.stdout).toMatch(new RegExp(`manual +manual +1 fire +${String(runId)}`));
  expect((await tidebase("show", "hourly")).stdout).toContain(`manual: ${String(runId)}`);
  const refused = await tidebase("delete", "hourly");
  expect(refused).toMatchObject({ code: 2, stdout: "" });
  expect((await tidebase("delete", "hourly", "--yes")).stdout).toMatch(/^schedule_\S+ is deleted/);
  const gone = await tidebase("show", "hourly", "--json");
  expect(JSON.parse(gone.stderr).error.code).toBe("schedule_not_found");
});
