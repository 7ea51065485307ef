import { userInfo } from "node:os";
import { expect, test } from "vitest";
import { signedIn, useDatabase } from "../../core/test/support/database.ts";
import { type Ended, runInside, runProgram, useFolder } from "./support/program.ts";

const db = useDatabase();
const folder = useFolder();
const env = (): Record<string, string> => ({ TIDEBASE_DATABASE_URL: db.url, NO_COLOR: "1" });
const FORM = {
  type: "object",
  properties: {
    amount: { type: "integer", minimum: 1 },
    currency: { type: "string", enum: ["EUR", "USD"] },
    urgent: { type: "boolean" },
    remark: { type: "string" },
  },
  required: ["amount", "currency", "urgent"],
};

interface Seen {
  readonly status: string;
  readonly decidedBy: string | null;
  readonly via: string | null;
  readonly assurance: string | null;
  readonly answer: unknown;
  readonly note: string | null;
}

/** At a terminal where this is typed. */
function typing(typed: string, ...args: string[]): Promise<Ended> {
  return runInside(folder, ["gates", "decide", ...args], env(), typed);
}

async function asked(question: object = {}): Promise<string> {
  return (await db.gate(await db.begun(), question)).gateId;
}

async function seen(gateId: string): Promise<Seen> {
  return (await db.call("gates.get", { gateId }))["gate"] as Seen;
}

/** What the audit trail says of the gate, the newest first. */
async function trail(gateId: string): Promise<string[]> {
  const { entries } = await db.call("audit.list", {});
  return (entries as { operation: string; outcome: string; via: string; target: string }[])
    .filter(({ target }) => target === gateId)
    .map(({ operation, outcome, via }) => `${operation} ${outcome} ${via}`);
}

test("a human at a terminal sees the question and its digest, types the word, and it is decided", async () => {
  const gateId = await asked({ prompt: "Send the report?", risk: "high" });
  const { code, stdout, stderr } = await typing("approve\n", gateId, "--approve", "--note", "fine");
  expect(code).toBe(0);
  const { digest } = (await db.call("gates.get", { gateId }))["gate"] as { digest: string };
  for (const words of ["Send the report?", digest, 'Type "approve"'])
    expect(stderr).toContain(words);
  expect(stdout).toContain(`${gateId} is approved`);
  expect(await seen(gateId)).toMatchObject({
    status: "approved",
    decidedBy: userInfo().username,
    via: "tty",
    assurance: "code",
    note: "fine",
  });
});

test("another word, or none, decides nothing", async () => {
  const gateId = await asked();
  for (const typed of ["yes\n", "reject\n", "APPROVE\n", "\n", ""]) {
    const { code, stdout, stderr } = await typing(typed, gateId, "--approve");
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
    expect(stderr).toContain("Nothing was decided");
  }
  expect(await seen(gateId)).toMatchObject({ status: "open" });
  expect(await trail(gateId)).toEqual([]);
});

test("through a pipe it is refused, changes nothing, and is on record", async () => {
  const gateId = await asked();
  const decide = ["gates", "decide", gateId, "--approve", "--yes"];
  for (const flags of [[], ["--json"]]) {
    const ended = await runProgram(folder, [...decide, ...flags], env(), "approve\n");
    expect(ended).toMatchObject({ code: 1, stdout: "" });
    expect(ended.stderr).toContain("A human has to do this.");
  }
  expect(await seen(gateId)).toMatchObject({ status: "open", decidedBy: null });
  expect((await trail(gateId)).slice(0, 2)).toEqual([
    "gates.resolve gate_needs_human cli",
    "gates.resolve attempted cli",
  ]);
});

test("a terminal for one stream only is none", async () => {
  const gateId = await asked();
  const decide = ["gates", "decide", gateId, "--approve"];
  const ended = await runInside(folder, decide, env(), "approve\n", ["stdin", "stderr"]);
  expect(ended).toMatchObject({ code: 1, stdout: "" });
  expect(await seen(gateId)).toMatchObject({ status: "open" });
});

test("the form is asked for, field by field, with nothing filled in", async () => {
  const gateId = await asked({ answerSchema: FORM });
  const { code, stderr } = await typing("many\n12\nGBP\nEUR\nno\napprove\n", gateId, "--approve");
  expect(code).toBe(0);
  expect(stderr).toContain("amount (a whole number, 1 or more): ");
  expect(stderr).toContain("It must be one of EUR, USD.");
  expect(stderr).not.toContain("remark (text): ");
  const answer = { amount: 12, currency: "EUR", urgent: false };
  expect(await seen(gateId)).toMatchObject({ status: "approved", answer });
});

test("an empty field decides nothing; a rejection needs no form", async () => {
  const gateId = await asked({ answerSchema: FORM });
  const { code, stderr } = await typing("12\n\n", gateId, "--approve");
  expect(code).toBe(1);
  expect(stderr).toContain("currency was left empty");
  expect(await seen(gateId)).toMatchObject({ status: "open" });
  expect((await typing("reject\n", gateId, "--reject")).code).toBe(0);
  expect(await seen(gateId)).toMatchObject({ status: "rejected", answer: null });
});

test("fields that are given are not asked for, and are held against the form", async () => {
  const gateId = await asked({ answerSchema: FORM });
  const given = [gateId, "--approve", "--yes", "--set", "currency=USD", "--set", "urgent=yes"];
  const wrong = await typing("0\n", ...given);
  expect(wrong.code).toBe(1);
  expect(wrong.stderr).toContain("The answer does not fit the gate's form.");
  for (const flag of ["amount=x", "nothing=1", "=1", "amount", "toString=1"]) {
    const refused = await typing("", gateId, "--approve", "--yes", "--set", flag);
    expect(refused).toMatchObject({ code: 2, stdout: "" });
  }
  const done = await typing("3\n", ...given, "--set", "remark=a=b");
  expect(done.code).toBe(0);
  const answer = { amount: 3, currency: "USD", urgent: true, remark: "a=b" };
  expect(await seen(gateId)).toMatchObject({ answer });
});

test("--json never asks: it takes --yes and a whole answer, and prints the gate", async () => {
  const gateId = await asked({ answerSchema: FORM });
  const decide = [gateId, "--approve", "--json"];
  expect((await typing("approve\n", ...decide)).code).toBe(2);
  const lacking = await typing("", ...decide, "--yes");
  expect(lacking.code).toBe(1);
  expect(JSON.parse(lacking.stderr).error.code).toBe("gate_answer_invalid");
  const answer = { amount: 1, currency: "EUR", urgent: true };
  const done = await typing("", ...decide, "--yes", "--answer", JSON.stringify(answer));
  expect({ code: done.code, stderr: done.stderr }).toEqual({ code: 0, stderr: "" });
  expect(JSON.parse(done.stdout)).toEqual(await db.call("gates.get", { gateId }));
});

test("a gate for somebody signed in is refused, and told where to go", async () => {
  const gateId = await asked({ risk: "critical" });
  const { code, stdout, stderr } = await typing("approve\n", gateId, "--approve");
  expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
  expect(stderr).toContain(`tidebase gates open ${gateId}`);
  const told = await typing("", gateId, "--approve", "--yes", "--json");
  expect(JSON.parse(told.stderr).error).toMatchObject({
    code: "gate_assurance_too_low",
    data: { gateId, required: "signed_in" },
  });
  expect(await seen(gateId)).toMatchObject({ status: "open" });
});

test("TIDEBASE_GATE_FLOOR raises what a gate takes here as in a server, and no nonsense lowers it", async () => {
  const gateId = await asked();
  const decide = ["gates", "decide", gateId, "--approve", "--yes"];
  const floor = (TIDEBASE_GATE_FLOOR: string) =>
    runInside(folder, decide, { ...env(), TIDEBASE_GATE_FLOOR }, "");
  const refused = await floor("signed_in");
  expect(refused).toMatchObject({ code: 1, stderr: expect.stringContaining("gates open") });
  for (const nonsense of ["", "none", "Code"])
    expect(await floor(nonsense)).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("TIDEBASE_GATE_FLOOR"),
    });
  expect(await seen(gateId)).toMatchObject({ status: "open" });
});

test("a decided gate is not asked about again: the same is told, another is refused with the winner", async () => {
  const gateId = await asked();
  expect((await typing("approve\n", gateId, "--approve")).code).toBe(0);
  expect(await typing("", gateId, "--approve")).toMatchObject({ code: 0 });
  const other = await typing("", gateId, "--reject", "--yes", "--json");
  expect(JSON.parse(other.stderr).error).toMatchObject({
    code: "gate_already_resolved",
    data: { gateStatus: "approved", decidedBy: userInfo().username },
  });
});

test("a question that changed since it was shown is not decided", async () => {
  const lease = await db.begun();
  const { gateId, digest } = await db.gate(lease, { prompt: "Send one?" });
  await db.gate(lease, { prompt: "Send a million?" });
  const { code, stderr } = await typing("approve\n", gateId, "--approve", "--digest", digest);
  expect(code).toBe(1);
  expect(stderr).toContain("The gate asks something else by now.");
  expect(await seen(gateId)).toMatchObject({ status: "open" });
});

test("of two approvals that are needed, the first is counted and told", async () => {
  const gateId = await asked({ approvals: 2 });
  const first = await typing("approve\n", gateId, "--approve");
  expect(first).toMatchObject({ code: 0, stdout: expect.stringContaining("1 of 2") });
  const { digest } = (await db.call("gates.get", { gateId }))["gate"] as { digest: string };
  const resolve = { gateId, decision: "approved", digest };
  const { gate } = await db.call("gates.resolve", resolve, signedIn("bob"));
  expect(gate).toMatchObject({ status: "approved", decidedBy: "bob" });
});
