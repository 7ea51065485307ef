import { expect, test } from "vitest";
import { newGrant, useDatabase } from "../../core/test/support/database.ts";
import { type Ended, runInside, useFolder } from "./support/program.ts";

const db = useDatabase();
const folder = useFolder();

function tidebase(...args: string[]): Promise<Ended> {
  return runInside(folder, args, { TIDEBASE_DATABASE_URL: db.url });
}

async function completed(): Promise<string> {
  const { runId } = await db.call("runs.create", { workflow: "w", input: "CANARY" });
  const grantId = newGrant();
  const { epoch } = await db.call("runs.begin", { runId, grantId });
  await db.complete({ runId, epoch, grantId }, { result: "CANARY" });
  return String(runId);
}

test("runs erase asks for --yes, then says what it did; runs get says that the content is gone", async () => {
  const runId = await completed();
  const unasked = await tidebase("runs", "erase", runId);
  expect(unasked).toMatchObject({ code: 2, stdout: "" });
  expect(unasked.stderr).toContain("--yes");
  const done = await tidebase("runs", "erase", runId, "--reason", "ticket 4711", "--yes");
  expect(done).toMatchObject({ code: 0, stdout: "Erased: the content of 1 run.\n" });
  const again = await tidebase("runs", "erase", runId, "--tree", "--yes");
  expect(again.stdout).toContain("was erased before");
  const json = await tidebase("runs", "erase", runId, "--yes", "--json");
  expect(JSON.parse(json.stdout)).toMatchObject({ already: true, erased: 0 });
  const { stdout } = await tidebase("runs", "get", runId, "--include", "input,result");
  expect(stdout).toMatch(/^erased +its content was, /m);
  expect(stdout).not.toContain("CANARY");
});

test("what is not final is not erased, and exits with 1", async () => {
  const runId = await db.pending();
  const { code, stderr } = await tidebase("runs", "erase", runId, "--yes");
  expect(code).toBe(1);
  expect(stderr).toContain("Only what has ended for good is erased.");
});

test("a command writes TIDEBASE_RETENTION_DAYS into the store, and refuses what is no number of days", async () => {
  const days = async () =>
    (await db.pool.query("select days from tidebase.retention")).rows[0].days;
  const given = (text: string) => ({
    TIDEBASE_DATABASE_URL: db.url,
    TIDEBASE_RETENTION_DAYS: text,
  });
  expect((await runInside(folder, ["runs", "list"], given("90"))).code).toBe(0);
  expect(await days()).toBe(90);
  expect((await tidebase("runs", "list")).code).toBe(0);
  expect(await days()).toBe(90);
  for (const text of ["-1", "1.5", "36501", "thirty", "1e3"]) {
    const { code, stderr } = await runInside(folder, ["runs", "list"], given(text));
    expect(code).not.toBe(0);
    expect(stderr).toContain("TIDEBASE_RETENTION_DAYS");
  }
  expect((await runInside(folder, ["runs", "list"], given("0"))).code).toBe(0);
  expect(await days()).toBe(0);
});
