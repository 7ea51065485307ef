import { randomUUID } from "node:crypto";
import { expect, onTestFinished, test } from "vitest";
import { useDatabase } from "../../core/test/support/database.ts";
import { type Ended, runInside, runProgram, startProgram, useFolder } from "./support/program.ts";

const db = useDatabase();
const folder = useFolder();
const EVIL = "\u001b[2Jboom\u0007 \u202egnp.exe\u009b31m";

function tidebase(...args: string[]): Promise<Ended> {
  return runInside(folder, args, { TIDEBASE_DATABASE_URL: db.url });
}

/** In a process of its own. */
function tidebaseAlone(...args: string[]): Promise<Ended> {
  return runProgram(folder, args, { TIDEBASE_DATABASE_URL: db.url });
}

async function json(...args: string[]): Promise<Record<string, unknown>> {
  const { stdout, stderr } = await tidebase(...args, "--json");
  expect(stderr).toBe("");
  return JSON.parse(stdout);
}

/** A run whose worker said how to start it again, and then failed. */
async function failed(message = "card declined"): Promise<string> {
  const { runId } = await db.call("runs.create", { workflow: "invoice", tags: ["eu"] });
  const grantId = `grant_${randomUUID()}`;
  const resumeHint = { command: ["node", "it's.ts"], cwd: "/srv/my app" };
  const { epoch } = await db.call("runs.begin", { runId, grantId, resumeHint });
  const lease = { runId, epoch, grantId };
  await db.call("steps.complete", { items: [{ ...lease, name: "draw", output: 1 }] });
  await db.call("runs.fail", { ...lease, error: { message } });
  return String(runId);
}

/** A run that nobody works on, with a step that may have charged a card. */
async function unknownOutcome(): Promise<string> {
  const lease = await db.begun();
  const contract = { sideEffects: ["charges the card"] };
  await db.call("steps.begin", { items: [{ ...lease, name: "charge", key: "eu", contract }] });
  await db.call("runs.release", { ...lease });
  return lease.runId;
}

test("list prints a line for each run, newest first, and --json the operation's answer", async () => {
  const [older, newer] = [await failed(), await failed()];
  const { code, stdout, stderr } = await tidebaseAlone("runs", "list", "--workflow", "invoice");
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  const lines = stdout.split("\n");
  expect(lines[0]).toMatch(/^RUN +WORKFLOW +STATUS +LAST EVENT +FAILURE +ERROR$/);
  expect(lines[1]).toContain(newer);
  expect(lines[2]).toContain(older);
  expect(lines[1]).toContain("card declined");
  expect(await json("runs", "list", "--workflow", "invoice")).toEqual(
    await db.call("runs.list", { workflow: "invoice" }),
  );
});

test("list filters, and goes on with its cursor", async () => {
  const runId = await failed("mailbox full");
  const find = async (...flags: string[]): Promise<string[]> => {
    const { runs } = await json("runs", "list", ...flags);
    return (runs as { runId: string }[]).map((run) => run.runId);
  };
  expect(
    await find("--search", "MAILBOX", "--tag", "eu", "--status", "failed", "--since", "1h"),
  ).toEqual([runId]);
  expect(await find("--search", "mailbox", "--status", "pending,completed")).toEqual([]);
  const first = await json("runs", "list", "--limit", "1");
  const more = await tidebase("runs", "list", "--limit", "1");
  expect(more.stderr).toContain(`--cursor ${first["nextCursor"]}`);
  const next = await find("--limit", "1", "--cursor", String(first["nextCursor"]));
  expect(next).toHaveLength(1);
  expect(next).not.toEqual([runId]);
});

test("get tells the state, the error, the resume hint and the next action", async () => {
  const runId = await failed();
  const { code, stdout } = await tidebase("runs", "get", runId);
  expect(code).toBe(0);
  for (const words of [
    runId,
    "invoice",
    "failed (workflow_error)",
    "card declined",
    "verdict",
    "safe",
  ])
    expect(stdout).toContain(words);
  expect(stdout).toContain(`cd '/srv/my app' && node 'it'\\''s.ts'`);
  expect(await json("runs", "get", runId, "--include", "input,result")).toEqual(
    await db.call("runs.get", { runId, include: ["input", "result"] }),
  );
});

test("the verdict ends with a code that tells safe from all else", async () => {
  const working = (await db.begun()).runId;
  const cancelled = await db.pending();
  await db.cancel(cancelled);
  const expected: [string, string, number][] = [
    [await failed(), "safe", 0],
    [working, "in_progress", 4],
    [cancelled, "final", 5],
    [await unknownOutcome(), "needs_review", 6],
  ];
  for (const [runId, answer, code] of expected) {
    const ended = await tidebase("runs", "verdict", runId, "--json");
    expect([JSON.parse(ended.stdout).answer, ended.code]).toEqual([answer, code]);
  }
  const alone = await tidebaseAlone("runs", "verdict", working);
  expect(alone).toMatchObject({ code: 4, stdout: expect.stringContaining("in_progress") });
});

test("recover is a dry run that names asOf, and acts only on what it showed", async () => {
  const runId = await failed();
  const dry = await json("runs", "recover", runId);
  expect(dry).toMatchObject({ dryRun: true, status: "failed" });
  const text = await tidebase("runs", "recover", runId);
  expect(text.stdout).toContain(`tidebase runs recover ${runId} --apply --as-of ${dry["seq"]}`);
  const late = await tidebase("runs", "recover", runId, "--apply", "--as-of", "1", "--json");
  expect(late).toMatchObject({ code: 1, stdout: "" });
  expect(JSON.parse(late.stderr).error).toMatchObject({ code: "run_changed", data: { runId } });
  const done = await json(
    "runs",
    "recover",
    runId,
    "--apply",
    "--as-of",
    String(dry["seq"]),
    "--reason",
    "fixed",
  );
  expect(done).toMatchObject({ dryRun: false, status: "pending" });
});

test("a step of unknown outcome is reviewed: dry run first, then for good", async () => {
  const runId = await unknownOutcome();
  const held = await tidebase("runs", "verdict", runId);
  expect(held.stdout).toContain("charge [eu]");
  const review = ["runs", "review", runId, "charge", "--key", "eu", "--reason", "found it"];
  const dry = await json(...review, "--decision", "retry");
  expect(dry).toMatchObject({ dryRun: true, becomes: "failed_retryable" });
  const output = ["--decision", "completed", "--output", '{"id":"ch_1"}'];
  const done = await json(...review, ...output, "--apply", "--as-of", String(dry["seq"]));
  expect(done).toMatchObject({ dryRun: false, status: "completed" });
  const { step } = await db.call("steps.get", { runId, name: "charge", key: "eu" });
  expect(step).toMatchObject({ output: { id: "ch_1" } });
  const wrong = await tidebase(...review, "--decision", "failed", "--output", "1");
  expect(wrong.code).toBe(2);
});

test("steps, events and state are shown", async () => {
  const lease = await db.begun();
  const { runId } = lease;
  await db.call("steps.complete", { items: [{ ...lease, name: "draw", output: "x" }] });
  await db.call("state.write", { ...lease, kind: "set", value: { a: [1, 2] }, label: "start" });
  await db.call("state.write", { ...lease, kind: "patch", value: { b: EVIL } });
  expect((await tidebase("runs", "steps", runId)).stdout).toMatch(/draw +completed +1 /);
  expect(await json("runs", "steps", runId)).toEqual(await db.call("steps.list", { runId }));
  const types = ["--types", "run.created,state.set"];
  expect((await tidebase("runs", "events", runId, ...types)).stdout).toMatch(/1 .+run\.created/);
  expect(await json("runs", "events", runId, "--limit", "2")).toEqual(
    await db.call("events.list", { runId, limit: 2 }),
  );
  expect((await tidebase("runs", "state", runId, "--path", "/a/1")).stdout).toBe("2\n");
  expect(await json("runs", "state", runId, "--at", "1")).toMatchObject({ value: { a: [1, 2] } });
  expect((await tidebase("runs", "state", runId, "--versions")).stdout).toContain("start");
  expect(await json("runs", "state", runId, "--diff", "1..2")).toMatchObject({
    patch: [{ op: "add", path: "/b" }],
  });
  expect((await tidebase("runs", "state", runId, "--diff", "1-2")).code).toBe(2);
});

test("what a run wrote cannot move the cursor or hide", async () => {
  const runId = await failed(EVIL);
  const lease = await db.begun();
  await db.call("steps.complete", { items: [{ ...lease, name: EVIL, output: 1 }] });
  await db.call("state.write", { ...lease, kind: "set", value: { [EVIL]: EVIL } });
  for (const args of [
    ["list"],
    ["get", runId],
    ["verdict", runId],
    ["events", runId],
    ["steps", lease.runId],
    ["state", lease.runId],
  ]) {
    const { stdout, stderr } = await tidebase("runs", ...args);
    expect(stdout + stderr).not.toMatch(/[\p{Cf}]|(?!\n)\p{Cc}/u);
  }
});

test("a run that is not there, and an id that is none, fail with their own codes", async () => {
  const unknown = `run_${randomUUID()}`;
  const missing = await tidebaseAlone("runs", "get", unknown);
  expect(missing).toEqual({
    code: 1,
    stdout: "",
    stderr: `tidebase: No run has that id. (runId: ${unknown})\n  fix: Check the id; list runs to find the one you mean.\n`,
  });
  const wrong = await tidebase("runs", "get", "7", "--json");
  expect(wrong).toMatchObject({ code: 2, stdout: "" });
  expect(JSON.parse(wrong.stderr).error).toMatchObject({ code: "input_invalid" });
});

test("a reader that goes away ends the program without a word", async () => {
  const lease = await db.begun();
  const value = Object.fromEntries(
    [...Array(20_000).keys()].map((n) => [`key ${n}`, "x".repeat(30)]),
  );
  await db.call("state.write", { ...lease, kind: "set", value });
  const child = startProgram(folder, ["runs", "state", lease.runId], {
    TIDEBASE_DATABASE_URL: db.url,
  });
  onTestFinished(() => {
    child.kill();
  });
  let said = "";
  child.stderr?.on("data", (chunk) => {
    said += String(chunk);
  });
  child.stdout?.once("data", () => child.stdout?.destroy());
  const code = await new Promise((resolve) => child.once("close", resolve));
  expect({ code, said }).toEqual({ code: 1, said: "" });
});
