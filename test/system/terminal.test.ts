import { userInfo } from "node:os";
import { expect, test } from "vitest";
import { useFolder } from "../../cli/test/support/program.ts";
import { useDatabase } from "../../core/test/support/database.ts";
import { atTerminal as atAnyTerminal, type Screen } from "../support/at-terminal.ts";

const db = useDatabase();
const folder = useFolder();
/** Not the middle of an id, which may be digits alone. */
const CODE = /(?<![\w-])[0-9A-HJKMNP-TV-Z]{4}-[0-9A-HJKMNP-TV-Z]{4}(?![\w-])/;

function atTerminal(
  line: string,
  typed: readonly (readonly [asked: string, answer: string])[] = [],
  shell = "%",
): Promise<Screen> {
  return atAnyTerminal(line, { TIDEBASE_DATABASE_URL: db.url }, typed, { shell, folder });
}

async function asked(question: object = {}): Promise<{ gateId: string; digest: string }> {
  return await db.gate(await db.begun(), question);
}

async function seen(gateId: string): Promise<unknown> {
  return (await db.call("gates.get", { gateId }))["gate"];
}

/** What was refused because no human did it, oldest first. */
async function refusals(): Promise<string[]> {
  const { entries } = await db.call("audit.list", { limit: 200 });
  return (entries as { operation: string; outcome: string }[])
    .filter(({ outcome }) => outcome === "gate_needs_human")
    .map(({ operation }) => operation)
    .reverse();
}

test("a human at a real terminal fills in the form, types the word, and it is decided", async () => {
  const answerSchema = {
    type: "object",
    properties: { amount: { type: "integer" }, why: { type: "string" } },
    required: ["amount", "why"],
  };
  const { gateId } = await asked({ answerSchema, prompt: "Pay it?", risk: "high" });
  const { code, screen } = await atTerminal(`gates decide ${gateId} --approve`, [
    ["amount (a whole number): ", "120"],
    ["why (text): ", "as agreed"],
    ['Type "approve"', "approve"],
  ]);
  expect({ code, screen }).toEqual({ code: 0, screen: expect.stringContaining("is approved") });
  expect(screen).toContain("Pay it?");
  expect(await seen(gateId)).toMatchObject({
    ...{ status: "approved", via: "tty", assurance: "code", decidedBy: userInfo().username },
    answer: { amount: 120, why: "as agreed" },
  });
});

test.each([
  ["no input", "% </dev/null"],
  ["input from a program", "echo approve | %"],
  ["output in a file", "% >out.txt"],
  ["output to a program", "% | cat"],
  ["messages in a file", "% 2>err.txt"],
])("at a real terminal, with %s, nothing is decided and nothing is issued", async (_, shell) => {
  const { gateId } = await asked();
  const before = await refusals();
  for (const line of [
    `gates decide ${gateId} --approve --yes`,
    `gates code ${gateId} --approve`,
    `gates open ${gateId} --json`,
  ]) {
    const { screen } = await atTerminal(line, [], shell);
    expect(screen).not.toContain("#link=");
  }
  expect(await seen(gateId)).toMatchObject({ status: "open" });
  const after = (await refusals()).slice(before.length);
  expect(after).toEqual(["gates.resolve", "gates.code", "sessions.link"]);
  const { rows } = await db.pool.query(
    "select from tidebase.gate_proofs union all select from tidebase.sessions",
  );
  expect(rows).toEqual([]);
});

test("Ctrl-C at the question decides nothing", async () => {
  const { gateId } = await asked();
  const { code } = await atTerminal(`gates decide ${gateId} --approve`, [
    ['Type "approve"', "appr\u0003"],
  ]);
  expect(code).not.toBe(0);
  expect(await seen(gateId)).toMatchObject({ status: "open" });
});

test("a code read off a real terminal approves when it is brought", async () => {
  const { gateId, digest } = await asked({ risk: "high" });
  const { code, screen } = await atTerminal(`gates code ${gateId} --approve`);
  expect(code).toBe(0);
  const secret = CODE.exec(screen.slice(screen.lastIndexOf("code")))?.[0] ?? "";
  const proof = { kind: "code", secret };
  await db.call("gates.redeem", { gateId, decision: "approved", digest, proof });
  expect(await seen(gateId)).toMatchObject({ status: "approved", via: "code" });
});

test("a code for a form is made by filling it in at a real terminal, and brings the answer", async () => {
  const answerSchema = {
    type: "object",
    properties: { amount: { type: "integer" } },
    required: ["amount"],
  };
  const { gateId, digest } = await asked({ answerSchema, prompt: "Pay it?", risk: "high" });
  const typed = [["amount (a whole number): ", "120"]] as const;
  const { code, screen } = await atTerminal(`gates code ${gateId} --approve`, typed);
  expect({ code, screen }).toEqual({ code: 0, screen: expect.stringContaining("Pay it?") });
  const secret = CODE.exec(screen.slice(screen.lastIndexOf("code")))?.[0] ?? "";
  const proof = { kind: "code", secret };
  await db.call("gates.redeem", { gateId, decision: "approved", digest, proof });
  expect(await seen(gateId)).toMatchObject({ status: "approved", answer: { amount: 120 } });
});
