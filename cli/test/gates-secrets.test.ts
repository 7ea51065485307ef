import { expect, test } from "vitest";
import { useDatabase } from "../../core/test/support/database.ts";
import { type Ended, runInside, runProgram, useFolder } from "./support/program.ts";

const db = useDatabase();
const folder = useFolder();
const env = (): Record<string, string> => ({ TIDEBASE_DATABASE_URL: db.url, NO_COLOR: "1" });
/** Not the middle of an id, which may be digits alone. */
const CODE = /(?<![\w-])[0-9A-HJKMNP-TV-Z]{4}-[0-9A-HJKMNP-TV-Z]{4}(?![\w-])/;

function atTerminal(...args: string[]): Promise<Ended> {
  return runInside(folder, ["gates", ...args], env(), "");
}

async function asked(question: object = {}): Promise<{ gateId: string; digest: string }> {
  return await db.gate(await db.begun(), question);
}

/** An agent brings the code that it was told. */
async function redeem(
  gate: { gateId: string; digest: string },
  decision: string,
  secret: string,
): Promise<unknown> {
  const { gateId, digest } = gate;
  const proof = { kind: "code", secret };
  const { gate: after } = await db.call("gates.redeem", { gateId, decision, digest, proof });
  return after;
}

async function status(gateId: string): Promise<unknown> {
  return ((await db.call("gates.get", { gateId }))["gate"] as { status: string }).status;
}

async function issued(table: "gate_proofs" | "sessions"): Promise<number> {
  const { rows } = await db.pool.query(`select count(*)::int as n from tidebase.${table}`);
  return rows[0].n;
}

test("a code is shown at a terminal with its question, and approves once when it is brought", async () => {
  const gate = await asked({ prompt: "Send the report?", risk: "high" });
  const { code, stdout, stderr } = await atTerminal("code", gate.gateId, "--approve");
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  for (const words of ["Send the report?", gate.gateId, gate.digest, "it is approved", "until"])
    expect(stdout).toContain(words);
  const secret = CODE.exec(stdout.slice(stdout.lastIndexOf("code")))?.[0] ?? "";
  expect(await redeem(gate, "approved", secret.toLowerCase())).toMatchObject({
    status: "approved",
    via: "code",
    assurance: "code",
  });
});

test("a code for a rejection never approves", async () => {
  const gate = await asked();
  const { stdout } = await atTerminal("code", gate.gateId, "--reject", "--json");
  const { code, decision, ...rest } = JSON.parse(stdout);
  expect(decision).toBe("rejected");
  expect(rest).toMatchObject({
    gateId: gate.gateId,
    digest: gate.digest,
    prompt: "Send the report?",
  });
  await expect(redeem(gate, "approved", code)).rejects.toMatchObject({ code: "gate_code_invalid" });
  expect(await status(gate.gateId)).toBe("open");
  expect(await redeem(gate, "rejected", code)).toMatchObject({ status: "rejected" });
});

const FORM = {
  type: "object",
  properties: {
    amount: { type: "integer", minimum: 1 },
    currency: { type: "string", enum: ["EUR", "USD"] },
    remark: { type: "string" },
  },
  required: ["amount", "currency"],
};

function typing(typed: string, ...args: string[]): Promise<Ended> {
  return runInside(folder, ["gates", "code", ...args], env(), typed);
}

test("what the form requires is asked for beneath the question, and the code brings it along", async () => {
  const gate = await asked({ prompt: "Pay it?", answerSchema: FORM, risk: "high" });
  const { code, stdout, stderr } = await typing("many\n12\nEUR\n", gate.gateId, "--approve");
  expect({ code, stderr }).toEqual({ code: 0, stderr: expect.stringContaining("Pay it?") });
  for (const words of [gate.digest, "amount (a whole number, 1 or more): ", "It must be a whole"])
    expect(stderr).toContain(words);
  expect(stderr).not.toContain("remark (text): ");
  const secret = CODE.exec(stdout.slice(stdout.lastIndexOf("code")))?.[0] ?? "";
  expect(stderr).not.toContain(secret);
  const answer = { amount: 12, currency: "EUR" };
  expect(await redeem(gate, "approved", secret)).toMatchObject({ status: "approved", answer });
});

test("fields that are given are not asked for, nor is anything for a rejection", async () => {
  const { gateId } = await asked({ answerSchema: FORM });
  const whole = JSON.stringify({ amount: 1, currency: "USD" });
  for (const args of [
    ["--approve", "--set", "amount=3", "--set", "currency=USD"],
    ["--approve", "--answer", whole],
    ["--reject"],
  ])
    expect(await typing("", gateId, ...args)).toMatchObject({ code: 0, stderr: "" });
  const rest = await typing("USD\n", gateId, "--approve", "--set", "amount=3");
  expect(rest).toMatchObject({ code: 0, stderr: expect.stringContaining("currency (one of ") });
  expect(rest.stderr).not.toContain("amount (a whole number, 1 or more): ");
});

test("a field left empty makes no code, and --json asks for none", async () => {
  const { gateId } = await asked({ answerSchema: FORM });
  const before = await issued("gate_proofs");
  const empty = await typing("12\n\n", gateId, "--approve");
  expect(empty).toMatchObject({ code: 1, stdout: "" });
  expect(empty.stderr).toContain("currency was left empty");
  const told = await typing("12\nEUR\n", gateId, "--approve", "--json");
  expect(told).toMatchObject({ code: 1, stdout: "" });
  expect(JSON.parse(told.stderr).error.code).toBe("gate_answer_invalid");
  expect(await issued("gate_proofs")).toBe(before);
});

test.each([[["code", "--approve"]], [["open"]]])(
  "%s through a pipe is refused and nothing is issued",
  async ([command = "", ...flags]) => {
    const { gateId } = await asked();
    const before = [await issued("gate_proofs"), await issued("sessions")];
    for (const json of [[], ["--json"]]) {
      const args = ["gates", command, gateId, ...flags, ...json];
      const ended = await runProgram(folder, args, env());
      expect(ended).toMatchObject({ code: 1, stdout: "" });
      expect(ended.stderr).toContain("A human has to do this.");
      expect(ended.stderr).not.toMatch(CODE);
      const inPart = await runInside(folder, args, env(), "", ["stdin", "stderr"]);
      expect(inPart).toMatchObject({ code: 1, stdout: "" });
    }
    expect([await issued("gate_proofs"), await issued("sessions")]).toEqual(before);
  },
);

test("a link starts one session, once, at the base that was named", async () => {
  const { gateId } = await asked();
  const { stdout, stderr } = await atTerminal("open", gateId);
  expect(stdout).toMatch(
    new RegExp(`^http://127\\.0\\.0\\.1:7373/gates/${gateId}#link=[\\w-]{43}\\n$`),
  );
  expect(stderr).toContain("tidebase-server");
  const token = /link=(.+)\n/.exec(stdout)?.[1] ?? "";
  const session = await db.core.sessions.start(token);
  expect(await db.core.sessions.find(session ?? "")).toMatchObject({ via: "page" });
  expect(await db.core.sessions.start(token)).toBeUndefined();
  const named = await atTerminal("open", gateId, "--base-url", "https://h/tide", "--json");
  expect(named.stderr).toBe("");
  expect(JSON.parse(named.stdout).url).toMatch(`https://h/tide/gates/${gateId}#link=`);
  const open = ["gates", "open", gateId];
  const set = await runInside(folder, open, { ...env(), TIDEBASE_PUBLIC_URL: "https://p/" }, "");
  expect(set.stdout).toMatch(`https://p/gates/${gateId}#link=`);
  for (const base of ["javascript:alert(1)", "h", ""])
    expect((await atTerminal("open", gateId, "--base-url", base)).code).toBe(2);
});

test("a gate that is decided, or that nobody opened, gets neither code nor link", async () => {
  const { gateId } = await asked();
  await atTerminal("decide", gateId, "--reject", "--yes");
  const before = [await issued("gate_proofs"), await issued("sessions")];
  for (const id of [gateId, "gate_00000000-0000-0000-0000-000000000000"])
    for (const args of [
      ["code", id, "--approve"],
      ["open", id],
    ]) {
      const ended = await atTerminal(...args, "--json");
      expect(ended).toMatchObject({ code: 1, stdout: "" });
      expect(JSON.parse(ended.stderr).error.code).toMatch(/^gate_(already_resolved|not_found)$/);
    }
  expect([await issued("gate_proofs"), await issued("sessions")]).toEqual(before);
});

test("a question that changes while a code for it is made gets no code shown", async () => {
  const lease = await db.begun();
  const { gateId } = await db.gate(lease, { prompt: "Send one?" });
  const client = await db.pool.connect();
  await client.query("begin");
  await client.query("lock table tidebase.gate_proofs in share mode");
  const ended = atTerminal("code", gateId, "--approve", "--json");
  await db.blocked(1);
  await db.gate(lease, { prompt: "Send a million?" });
  await client.query("commit");
  client.release();
  const { code, stdout, stderr } = await ended;
  expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
  expect(JSON.parse(stderr).error.code).toBe("gate_changed");
});
