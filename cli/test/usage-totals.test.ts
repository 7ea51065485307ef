import { expect, test } from "vitest";
import { newGrant, useDatabase } from "../../core/test/support/database.ts";
import { type Ended, runInside, useFolder } from "./support/program.ts";

const db = useDatabase();
const folder = useFolder();
const env = { TIDEBASE_DATABASE_URL: db.url };
const tidebase = (...args: string[]): Promise<Ended> => runInside(folder, args, env);

async function json(...args: string[]): Promise<Record<string, unknown>> {
  const { stdout, stderr } = await tidebase(...args, "--json");
  expect(stderr).toBe("");
  return JSON.parse(stdout);
}

/** A parent and a child of another workflow; each has recorded something. */
async function family(): Promise<{ parent: string; child: string }> {
  const lease = await db.begun();
  const children = [{ name: "part", workflow: "scrape" }];
  const { results } = await db.call("children.create", { ...lease, children });
  const child = (results as { runId: string }[])[0]?.runId ?? "";
  const grantId = newGrant();
  const { epoch } = await db.call("runs.begin", { runId: child, grantId });
  const said = { provider: "openai", model: "gpt-x", inputTokens: 1000, outputTokens: 20 };
  await db.call("usage.record", {
    ...{ ...lease, kind: "llm", label: "draft\u001b[2J", costUsd: "0.0135", ...said },
    metadata: { id: 7 },
  });
  await db.call("usage.record", {
    ...{ runId: child, epoch, grantId, kind: "proxy", quantity: "2.5", unit: "GB" },
  });
  return { parent: lease.runId, child };
}

test("totals are told of a run, its tree, a workflow and a time, for people and as JSON", async () => {
  const { parent, child } = await family();
  const { stdout, stderr } = await tidebase("usage", "--run", parent, "--tree", "--by", "workflow");
  expect(stderr).toBe("");
  expect(stdout.split("\n")).toEqual([
    "cost        0.0135 USD (1 of the records name no cost)",
    "tokens      1020 (1000 in, 20 out)",
    "records     2",
    "quantities  2.5 GB",
    "",
    "WORKFLOW  COST USD  TOKENS  IN    OUT  RECORDS  QUANTITIES",
    "test      0.0135    1020    1000  20   1",
    "scrape    0         0       0     0    1        2.5 GB",
    "",
  ]);
  expect(await json("usage", "--run", parent)).toMatchObject({
    ...{ total: { costUsd: "0.0135", records: 1 }, groups: [], more: false },
  });
  const today = new Date().toISOString().slice(0, 10);
  const days = await json("usage", "--workflow", "scrape", "--since", "24h", "--by", "day");
  expect(days["groups"]).toMatchObject([{ group: today, records: 1 }]);
  expect(await json("usage", "--since", "2200-01-01")).toMatchObject({ total: { records: 0 } });
  expect(await json("usage", "--run", child, "--until", "1h")).toMatchObject({
    total: { records: 0, costUsd: "0" },
  });
  const none = await tidebase("usage", "--since", "2200-01-01", "--by", "model");
  expect(none.stdout).toBe(
    "cost     0 USD\ntokens   0 (0 in, 0 out)\nrecords  0\nsince    2200-01-01T00:00:00Z\n",
  );
});

test("more groups than are shown are told of", async () => {
  await family();
  const { stdout, stderr } = await tidebase("usage", "--by", "kind", "--top", "1");
  expect(stdout).toContain("\nllm ");
  expect(stdout).not.toContain("proxy");
  expect(stderr).toContain("There are more groups");
});

test("what a run recorded is listed, nothing in it obeyed by a terminal, and paged", async () => {
  const { parent, child } = await family();
  const { stdout } = await tidebase("usage", "list", parent);
  const [head, line] = stdout.split("\n");
  expect(head).toMatch(/^SEQ +AT +KIND +MODEL +LABEL +COST USD +TOKENS +QUANTITY$/);
  expect(line).toMatch(/^4 +\S+Z +llm +openai\/gpt-x +draft\\u\{1b\}\[2J +0\.0135 +1020$/);
  expect(await json("usage", "list", parent)).toMatchObject({
    records: [{ seq: 4, costUsd: "0.0135", metadata: { id: 7 } }],
    nextAfterSeq: null,
  });
  expect((await tidebase("usage", "list", child)).stdout).toContain("2.5 GB");
  const empty = await tidebase("usage", "list", await db.pending());
  expect(empty.stdout).toBe("No usage was recorded.\n");
  const lease = await db.begun();
  for (let n = 0; n < 3; n++)
    await db.call("usage.record", { ...lease, kind: "llm", totalTokens: n });
  const first = await tidebase("usage", "list", lease.runId, "--limit", "2");
  expect(first.stderr).toBe("More: add --after 4\n");
  const rest = await json("usage", "list", lease.runId, "--after", "4");
  expect(rest["records"]).toHaveLength(1);
});

test("an unknown run and a time that is none fail with what to do", async () => {
  const unknown = "run_00000000-0000-7000-8000-000000000000";
  for (const args of [
    ["usage", "--run", unknown],
    ["usage", "list", unknown],
  ]) {
    const { code, stdout, stderr } = await tidebase(...args, "--json");
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
    expect(JSON.parse(stderr).error.code).toBe("run_not_found");
  }
});
