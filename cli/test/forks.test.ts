import { randomUUID } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { useDatabase } from "../../core/test/support/database.ts";
import { type Ended, runInside, useFolder } from "./support/program.ts";

const db = useDatabase();
const folder = useFolder();

function tidebase(...args: string[]): Promise<Ended> {
  return runInside(folder, args, { TIDEBASE_DATABASE_URL: db.url });
}

async function json(...args: string[]): Promise<Record<string, unknown>> {
  const { stdout, stderr } = await tidebase(...args, "--json");
  expect(stderr).toBe("");
  return JSON.parse(stdout);
}

/** A completed run of three steps, of which the last had an effect. */
async function source(): Promise<string> {
  const { runId } = await db.call("runs.create", { workflow: "letter", input: { to: "ada" } });
  const grantId = `grant_${randomUUID()}`;
  const { epoch } = await db.call("runs.begin", {
    ...{ runId, grantId, resumeHint: { command: ["node", "letter.ts"], cwd: "/srv/app" } },
  });
  const lease = { runId, epoch, grantId };
  const contract = { sideEffects: ["mail\u001b[2J"] };
  for (const item of [
    { name: "draft", key: "de" },
    { name: "draft", key: "en" },
    { name: "send", contract },
  ])
    await db.call("steps.complete", { items: [{ ...lease, ...item, output: item.name }] });
  await db.complete(lease, { result: 1 });
  return String(runId);
}

const outputOf = async (runId: unknown, name: string, key = "") => {
  const { step } = await db.call("steps.get", { runId, name, key });
  return (step as { output: unknown }).output;
};

test("fork shows what is kept, what runs again and what would repeat an effect, and makes nothing without --apply", async () => {
  const runId = await source();
  const { code, stdout, stderr } = await tidebase("runs", "fork", runId, "--from", "send");
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  expect(stdout).toMatch(/^dry run +nothing was made$/m);
  expect(stdout).toMatch(/^departs +after event 4 of run_/m);
  expect(stdout).toMatch(/^kept +2 steps, which never run again: draft \[de\], draft \[en\]$/m);
  expect(stdout).toMatch(/^run again +1 step, 1 of which would repeat an effect$/m);
  expect(stdout).toMatch(/^to do it +add --apply --as-of 6$/m);
  expect(stdout).toContain("send: completed in the source; would repeat effects");
  expect(stdout).toContain("node letter.ts");
  expect(stdout).not.toContain("\u001b[2J");
  const { runs } = await db.call("runs.list", { forkedFrom: runId });
  expect(runs).toEqual([]);
});

test("fork applies on what the plan said, with another output, another input and a queue", async () => {
  const runId = await source();
  await writeFile(join(folder, "draft.json"), '{"text":"better"}');
  const plan = ["runs", "fork", runId, "--from", "draft", "--from-key", "en"];
  const edit = ["--edit", "draft", "--edit-key", "de", "--output", "@draft.json"];
  const more = ["--input", '{"to":"bob"}', "--queue", "mail", "--reason", "typo"];
  const { seq } = await json(...plan, ...edit, ...more);
  const act = ["--apply", "--as-of", String(seq)];
  const made = await json(...plan, ...edit, ...more, ...act);
  expect(made).toMatchObject({ created: true, status: "queued", queue: "mail", keptSteps: 1 });
  expect(await outputOf(made["runId"], "draft", "de")).toEqual({ text: "better" });
  const shown = await tidebase("runs", "get", String(made["runId"]), "--include", "input");
  expect(shown.stdout).toMatch(new RegExp(`^fork of +${runId}, after its event 3$`, "m"));
  expect(shown.stdout).toContain('{"to":"bob"}');
  const stale = await tidebase(...plan, "--apply", "--as-of", "1", "--json");
  expect([stale.code, JSON.parse(stale.stderr).error.code]).toEqual([1, "run_changed"]);
});

test("rerun keeps nothing; the same --fork-run-id finds the same run", async () => {
  const runId = await source();
  const forkRunId = `run_${randomUUID()}`;
  const ask = ["runs", "rerun", runId, "--no-queue", "--fork-run-id", forkRunId, "--apply"];
  const { code, stdout } = await tidebase(...ask);
  expect(code).toBe(0);
  expect(stdout).toMatch(new RegExp(`^done +${forkRunId} is pending$`, "m"));
  expect(stdout).toMatch(/^departs +before anything$/m);
  expect(stdout).toContain(`tide.resume("${forkRunId}")`);
  expect((await tidebase(...ask)).stdout).toContain("as an earlier call had made it");
});

test("options that say nothing together are wrong usage", async () => {
  const runId = await source();
  for (const wrong of [
    ["--from-key", "x"],
    ["--edit", "a"],
    ["--output", "1"],
    ["--edit-key", "x"],
  ])
    expect((await tidebase("runs", "fork", runId, ...wrong)).code, wrong.join(" ")).toBe(2);
  expect((await tidebase("runs", "rerun", runId, "--from", "send")).code).toBe(2);
});
