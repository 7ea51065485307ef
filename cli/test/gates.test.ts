import { randomUUID } from "node:crypto";
import { expect, test } from "vitest";
import { ada, useDatabase } from "../../core/test/support/database.ts";
import { type Ended, runInside, runProgram, useFolder } from "./support/program.ts";

const db = useDatabase();
const folder = useFolder();
const EVIL = "\u001b[2JSend it?\u0007 \u202egnp.exe\u009b31m";
const UNSEEN = /[\p{Cf}\p{Zl}\p{Surrogate}]|(?!\n)\p{Cc}/u;
/** With which readline begins its line. */
const PROMPT = new RegExp(`${String.fromCharCode(27)}\\[\\d*[GJ]`, "g");
const env = (): Record<string, string> => ({ TIDEBASE_DATABASE_URL: db.url });

function tidebase(...args: string[]): Promise<Ended> {
  return runInside(folder, args, env());
}

async function json(...args: string[]): Promise<Record<string, unknown>> {
  const { stdout, stderr } = await tidebase(...args, "--json");
  expect(stderr).toBe("");
  return JSON.parse(stdout);
}

/** An open gate of a run of its own. */
async function asked(question: object = {}): Promise<{ gateId: string; runId: string }> {
  const lease = await db.begun();
  const { gateId } = await db.gate(lease, question);
  return { gateId, runId: lease.runId };
}

test("the inbox is listed oldest first, and filtered", async () => {
  const [first, second] = [await asked(), await asked({ prompt: "And this?" })];
  const { code, stdout, stderr } = await runProgram(folder, ["gates", "list"], env());
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  const [head, ...lines] = stdout.split("\n");
  expect(head).toMatch(/^GATE +WORKFLOW +NAME +STATUS +RISK +NEEDS +OPENED +DECIDED BY +QUESTION$/);
  expect(lines[0]).toContain(first.gateId);
  expect(lines[1]).toContain(second.gateId);
  expect(lines[1]).toContain("And this?");
  expect(await json("gates", "list")).toEqual(await db.call("gates.list", {}));
  const { gates } = await json("gates", "list", "--run", second.runId, "--workflow", "test");
  expect(gates).toMatchObject([{ gateId: second.gateId }]);
  expect((await tidebase("gates", "list", "--status", "closed")).stdout).toBe("No gates.\n");
  const page = await tidebase("gates", "list", "--limit", "1");
  const cursor = /--cursor (\S+)/.exec(page.stderr)?.[1] ?? "";
  const rest = await json("gates", "list", "--cursor", cursor);
  expect(rest["gates"]).toMatchObject([{ gateId: second.gateId }]);
});

test("a gate is shown with all that its decider relies on", async () => {
  const { gateId } = await asked({
    prompt: "Pay the invoice?",
    data: { total: 120 },
    answerSchema: {
      type: "object",
      properties: { amount: { type: "integer", minimum: 1, title: "in euro" } },
      required: ["amount"],
    },
    capability: { name: "payments", scopes: ["eu"], reason: "it is due" },
    risk: "high",
    approvers: ["ada", "bob"],
    approvals: 2,
    expiresInMs: 60_000,
  });
  const { gate } = await json("gates", "show", gateId);
  expect({ gate }).toEqual(await db.call("gates.get", { gateId }));
  const { code, stdout } = await tidebase("gates", "show", gateId);
  expect(code).toBe(0);
  for (const words of [
    gateId,
    "Pay the invoice?",
    '"total": 120',
    "amount (in euro): a whole number, 1 or more; required",
    "payments [eu]: it is due",
    "ada, bob; 2 different ones",
    "high",
    "a one-time code, a terminal, or somebody signed in",
    String((gate as { digest: string }).digest),
    "0 of 2",
    `tidebase gates decide ${gateId} --approve`,
  ])
    expect(stdout).toContain(words);
});

test("what a worker asked cannot move the cursor or hide, where it is shown and where it is decided", async () => {
  const lease = await db.begun();
  const { gateId, digest } = await db.gate(lease, {
    name: EVIL,
    key: EVIL,
    prompt: EVIL,
    data: { [EVIL]: EVIL },
    capability: { name: EVIL, scopes: [EVIL], reason: EVIL },
    answerSchema: {
      type: "object",
      properties: { why: { type: "string", title: EVIL, description: EVIL } },
      required: ["why"],
    },
    approvers: [EVIL, "ada"],
  });
  for (const args of [["show", gateId], ["list"]]) {
    const { stdout, stderr } = await tidebase("gates", ...args);
    expect(stdout + stderr).toContain("Send it?");
    expect(stdout + stderr).not.toMatch(UNSEEN);
  }
  const decide = ["gates", "decide", gateId, "--reject"];
  const { stderr } = await runInside(folder, decide, { ...env(), NO_COLOR: "1" }, "no\n");
  const asking = stderr.slice(0, stderr.indexOf('Type "reject"')).replace(PROMPT, "");
  expect(asking).toContain("Send it?");
  expect(asking).not.toMatch(UNSEEN);
  const note = `because ${EVIL}`;
  await db.call("gates.resolve", { gateId, decision: "rejected", digest, note }, ada);
  const { stdout } = await tidebase("gates", "show", gateId);
  expect(stdout).toContain("because ");
  expect(stdout).not.toMatch(UNSEEN);
});

test("an open gate gets another end, or ends now, by a human at a terminal only", async () => {
  const { gateId } = await asked();
  const extend = ["gates", "extend", gateId];
  const refused = await tidebase(...extend, "--ms", "60000", "--json");
  expect(refused.code).toBe(1);
  expect(JSON.parse(refused.stderr).error.code).toBe("gate_needs_human");
  expect(await json("gates", "show", gateId)).toMatchObject({ gate: { expiresAt: null } });
  const done = await runInside(folder, [...extend, "--ms", "60000"], env(), "");
  expect(done).toMatchObject({ code: 0, stdout: expect.stringContaining("It expires at ") });
  await runInside(folder, [...extend, "--now"], env(), "");
  const late = await runInside(
    folder,
    ["gates", "decide", gateId, "--approve", "--yes"],
    env(),
    "",
  );
  expect(late.code).toBe(1);
  expect(late.stderr).toContain("The gate's time is over.");
});

test("a waiting run says which gates, signals and times it waits for", async () => {
  const lease = await db.begun();
  const { gateId } = await db.gate(lease);
  await db.call("runs.suspend", { ...lease, waits: { gates: [gateId], signals: ["paid"] } });
  for (const command of ["get", "verdict"]) {
    const { stdout } = await tidebase("runs", command, lease.runId);
    expect(stdout).toContain(`tidebase gates show ${gateId}`);
    expect(stdout).toMatch(/signals +paid/);
  }
});

test("a signal is sent once for its key", async () => {
  const runId = await db.pending();
  const send = ["signals", "send", runId, "paid", "--payload", '{"amount":1}', "--key", "p1"];
  expect(await json(...send)).toMatchObject({ runId, recorded: false });
  expect((await tidebase(...send)).stdout).toBe("It was sent before.\n");
  expect((await tidebase("signals", "send", runId, "paid")).stdout).toMatch(/^Sent: event \d+/);
  const wrong = await tidebase("signals", "send", runId, "paid", "--payload", "{");
  expect(wrong.code).toBe(2);
  const unknown = await tidebase("signals", "send", `run_${randomUUID()}`, "paid", "--json");
  expect(JSON.parse(unknown.stderr).error.code).toBe("run_not_found");
});
