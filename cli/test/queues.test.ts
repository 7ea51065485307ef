import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { newGrant, useDatabase } from "../../core/test/support/database.ts";
import { type Ended, runInside, useFolder } from "./support/program.ts";

const db = useDatabase();
const folder = useFolder();
const env = { TIDEBASE_DATABASE_URL: db.url };

function tidebase(...args: string[]): Promise<Ended> {
  return runInside(folder, args, env);
}

/** With a human who types this at a terminal. */
function atTerminal(typed: string, ...args: string[]): Promise<Ended> {
  return runInside(folder, args, env, typed);
}

async function json(...args: string[]): Promise<Record<string, unknown>> {
  const { stdout, stderr } = await tidebase(...args, "--json");
  expect(stderr).toBe("");
  return JSON.parse(stdout);
}

/** Queues so many runs of the workflow and fails each for good. */
async function deadLetters(queue: string, workflow: string, n: number): Promise<string[]> {
  const items = Array.from({ length: n }, () => ({ workflow, queue, maxAttempts: 1 }));
  await db.call("runs.enqueue", { items });
  const grantId = newGrant();
  const { runs } = await db.call("queues.claim", { queue, grantId, limit: 100 });
  const leases = runs as { runId: string; epoch: number }[];
  for (const { runId, epoch } of leases)
    await db.call("runs.fail", { runId, epoch, grantId, error: { message: `${workflow} broke` } });
  return leases.map(({ runId }) => runId);
}

const statusOf = async (runId: string) => {
  const { run } = await db.call("runs.get", { runId });
  return (run as { status: string }).status;
};

test("a run is queued with its input, and a second one of its dedupe key finds it", async () => {
  const flags = ["--queue", "billing", "--dedupe-key", "day", "--priority", "-5", "--tags", "eu"];
  const input = ["--input", '{"n":[1]}', "--delay", "10m", "--ttl", "1d", "--max-attempts", "7"];
  const { results } = await json("enqueue", "invoice", ...flags, ...input);
  const [{ runId }] = results as [{ runId: string }];
  expect(results).toEqual([{ runId, status: "queued", outcome: "created" }]);
  const again = await tidebase("enqueue", "invoice", ...flags);
  expect(again.stdout).toBe(`Another is active: ${runId} is queued.\n`);
  const { stdout } = await tidebase("runs", "get", runId, "--include", "input");
  for (const words of [
    "billing, priority -5, dedupe key day",
    "0 of 7 failures allowed",
    "from 2",
    '{"n":[1]}',
    "npx tidebase queues show billing",
  ])
    expect(stdout).toContain(words);
  const list = await json("runs", "list", "--queue", "billing");
  expect(list).toMatchObject({ runs: [{ runId }] });
});

test("an input comes from a file or standard input, and a key's second body is a conflict", async () => {
  writeFileSync(join(folder, "in.json"), '{"from":"file"}');
  const key = ["enqueue", "w", "--idempotency-key", "k", "--json"];
  const first = await tidebase(...key, "--input", "@in.json");
  const [{ runId }] = JSON.parse(first.stdout).results;
  expect(await db.call("runs.get", { runId, include: ["input"] })).toMatchObject({
    input: { from: "file" },
  });
  const stdin = [...key, "--input", "@-"];
  const piped = await runInside(folder, stdin, env, '{"from":"pipe"}', []);
  expect(piped).toMatchObject({ code: 1, stdout: "" });
  const { error } = JSON.parse(piped.stderr);
  expect(error).toMatchObject({ code: "idempotency_conflict", data: { runId } });
  expect(error.data.differs).toEqual(["input"]);
  const missing = await tidebase("enqueue", "w", "--input", "@none.json");
  expect(missing).toMatchObject({ code: 1, stdout: "" });
});

test("a queue is listed, limited, paused and resumed", async () => {
  await db.call("runs.enqueue", { items: [{ workflow: "w", queue: "mail" }] });
  const limited = await json("queues", "limits", "mail", "--concurrency", "3", "--rate", "60");
  expect(limited).toMatchObject({ queue: { concurrency: 3, keyConcurrency: null } });
  const lifted = await tidebase("queues", "limits", "mail", "--concurrency", "none");
  expect(lifted.stdout).toMatch(/limits +60 a minute\n/);
  expect((await tidebase("queues", "pause", "mail")).stdout).toMatch(/state +paused since 2/);
  const list = await tidebase("queues", "list", "--after", "mai", "--limit", "1");
  expect(list.stdout).toMatch(/^QUEUE +STATE +READY +OLDEST .*\nmail +paused +1 +\d+s +0 /);
  expect((await tidebase("queues", "resume", "mail")).stdout).toMatch(/state +open\n/);
  const workerId = "worker_00000000-0000-7000-8000-000000000000";
  const holder = { host: "web-1", pid: 41 };
  const claim = { queue: "mail", grantId: newGrant(), workerId, holder };
  await db.call("queues.claim", claim);
  expect((await tidebase("queues", "show", "mail")).stdout).toMatch(/worker_0.+ web-1, pid 41 /);
  expect(await tidebase("queues", "show", "nope")).toMatchObject({
    code: 0,
    stderr: expect.stringContaining("Nothing is known of this queue."),
  });
  expect((await tidebase("queues", "show", "mail")).stderr).toBe("");
  const page = await tidebase("queues", "list", "--limit", "1");
  expect(page.stderr).toContain("--after ");
});

test("a queue is pushed to a webhook by name, and to no other", async () => {
  const { name } = await db.channel("push");
  const pushed = await json("queues", "push", "sent", "--webhook", name);
  expect(pushed).toMatchObject({ queue: { webhook: name } });
  expect(await json("queues", "push", "sent", "--no-webhook")).toMatchObject({
    queue: { webhook: null },
  });
  const unknown = await tidebase("queues", "push", "sent", "--webhook", "none", "--json");
  expect(JSON.parse(unknown.stderr).error.code).toBe("webhook_not_found");
});

test("dead letters are counted first, and queued again when a human or --yes says so", async () => {
  const [card] = await deadLetters("dead", "card", 1);
  const mails = await deadLetters("dead", "mail", 2);
  const redrive = ["queues", "redrive", "dead"];
  const dry = await json(...redrive, "--dry-run");
  expect(dry).toMatchObject({ dryRun: true, matching: 3, redriven: 0 });
  const declined = await atTerminal("no\n", ...redrive);
  expect(declined).toMatchObject({ code: 1, stdout: "" });
  expect(declined.stderr).toContain("This queues 3 dead letters of dead again.");
  expect(await json(...redrive, "--yes", "--search", "CARD broke")).toMatchObject({ redriven: 1 });
  expect(await statusOf(card ?? "")).toBe("queued");
  const typed = await atTerminal("redrive\n", ...redrive, "--workflow", "mail");
  expect(typed.stdout).toContain("2 queued again");
  for (const runId of mails) expect(await statusOf(runId)).toBe("queued");
  expect(await json(...redrive, "--yes")).toMatchObject({ dryRun: true, matching: 0 });
});

test("a dry run prints the command that queues again exactly what it has counted", async () => {
  const [first] = await deadLetters("counted", "w", 1);
  const redrive = ["queues", "redrive", "counted", "--search", "w broke"];
  const { stdout } = await tidebase(...redrive, "--dry-run");
  const line = /to do it +npx tidebase (.+)\n/.exec(stdout)?.[1] ?? "";
  expect(line).toMatch(/^queues redrive counted --search 'w broke' --until \S+ --yes$/);
  await db.advance("1 second");
  const [second] = await deadLetters("counted", "w", 1);
  const until = /--until (\S+)/.exec(line)?.[1] ?? "";
  const done = await json(...redrive, "--until", until, "--yes");
  expect(done).toMatchObject({ dryRun: false, redriven: 1 });
  expect([await statusOf(first ?? ""), await statusOf(second ?? "")]).toEqual(["queued", "failed"]);
});

test("a redrive leaves alone what another run's dedupe key holds, and says so", async () => {
  const [dead] = await deadLetters("held", "w", 1);
  await db.pool.query("update tidebase.runs set dedupe_key = 'k' where run_id = $1", [
    dead?.slice(4),
  ]);
  const items = [{ workflow: "w", queue: "held", dedupeKey: "k" }];
  const { results } = await db.call("runs.enqueue", { items });
  const [{ runId }] = results as [{ runId: string }];
  const { stdout } = await tidebase("queues", "redrive", "held", "--yes");
  expect(stdout).toMatch(new RegExp(`${dead} +dedupe_conflict +${runId}`));
});

test("a run is cancelled with what is below it, once somebody has said so", async () => {
  const lease = await db.begun();
  const { runId } = lease;
  const children = [{ name: "page", key: "1", workflow: "page", queue: "pages" }];
  await db.call("children.create", { ...lease, children });
  expect((await tidebase("runs", "children", runId)).stdout).toMatch(/page +1 +queued +run_/);
  const dry = await tidebase("runs", "cancel", runId, "--dry-run");
  expect(dry.stdout).toMatch(/would end +run_\S+ and 1 run below it\n/);
  expect(dry.stdout).toContain(`npx tidebase runs cancel ${runId} --yes --as-of`);
  const cancel = ["runs", "cancel", runId, "--reason", "wrong page"];
  expect((await atTerminal("\n", ...cancel)).code).toBe(1);
  expect(await statusOf(runId)).toBe("running");
  const done = await atTerminal("cancel\n", ...cancel);
  expect(done.stdout).toBe(`${runId} and 1 run below it is cancelled.\n`);
  const { stdout } = await tidebase("runs", "get", runId);
  expect(stdout).toMatch(/cancelled +wrong page \(by .+\)\n/);
  expect(await json(...cancel, "--yes")).toMatchObject({ status: "cancelled", already: true });
  expect((await tidebase(...cancel, "--yes")).stdout).toContain("was cancelled before");
  const moved = await db.begun();
  const late = await tidebase("runs", "cancel", moved.runId, "--yes", "--as-of", "1", "--json");
  expect(JSON.parse(late.stderr).error.code).toBe("run_changed");
});

test("a deadline is set from now, and lifted", async () => {
  const runId = await db.pending();
  expect((await tidebase("runs", "deadline", runId, "2h")).stdout).toMatch(/deadline is 2.+Z\.\n/);
  expect((await tidebase("runs", "get", runId)).stdout).toMatch(/deadline +2/);
  expect(await json("runs", "deadline", runId, "none")).toEqual({ deadlineAt: null });
});
