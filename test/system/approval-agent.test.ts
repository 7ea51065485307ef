import { appendFile } from "node:fs/promises";
import { userInfo } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { createWebhook, openCore, updateWebhook } from "@tidebase/core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { collect, startProgram, useFolder } from "../../cli/test/support/program.ts";
import { local, useDatabase } from "../../core/test/support/database.ts";
import { useReceivers } from "../../core/test/support/receiver.ts";
import { newHuman } from "../../mcp-server/test/gate-support.ts";
import { program, startAgent } from "../../mcp-server/test/support.ts";
import { atTerminal } from "../support/at-terminal.ts";
import { useBrowser } from "../support/browser.ts";
import { end, untilPrinted } from "../support/process.ts";
import { type ServerProcess, startServerProcess } from "../support/servers.ts";

const db = useDatabase();
const folder = useFolder();
const receiver = useReceivers();
const newPage = useBrowser();
const EXAMPLE = new URL("../../examples/approval-agent/", import.meta.url);
const path = (name: string) => fileURLToPath(new URL(name, EXAMPLE));
const CODE = /[0-9A-HJKMNP-TV-Z]{4}-[0-9A-HJKMNP-TV-Z]{4}/;
const me = userInfo().username;
type Json = Record<string, unknown>;
type Decision = "approved" | "rejected";

const closing: (() => Promise<unknown>)[] = [];
let server: ServerProcess;
let mailbox: Awaited<ReturnType<typeof receiver>>;
/** Where the program that goes on by itself takes orders. */
let orders: string;
let webhookId: string;

beforeAll(async () => {
  mailbox = await receiver();
  server = await startServerProcess(db.url, { TIDEBASE_WEBHOOK_ALLOW: "127.0.0.1" });
  closing.push(() => server.stop());
  // On the database: a server without keys lets nobody make a webhook.
  const allow = ["127.0.0.1"];
  const admin = openCore({ databaseUrl: db.url, sweeps: false, webhooks: { allow } });
  closing.push(() => admin.close());
  const hook = { name: "approval-agent", url: "http://127.0.0.1:9/tide", invokes: true };
  const { secret, ...made } = await admin.execute(createWebhook, hook, local);
  webhookId = made.webhookId;
  const args = ["--port", "0", "--out", folder, "--endpoint", mailbox.url];
  const env = { TIDEBASE_URL: server.url, TIDEBASE_WEBHOOK_SECRET: secret };
  const child = startProgram(folder, args, env, path("serve.ts"));
  closing.push(() => end(child, "SIGTERM"));
  [orders] = await untilPrinted(child, /http:\S+\/reports/);
  await admin.execute(updateWebhook, { webhookId, url: new URL("/tide", orders).href }, local);
});
afterAll(async () => {
  for (const close of closing.reverse()) await close();
});

/** Somebody at a terminal of the store's machine. */
function atStore(line: string, typed: [string, string][] = []) {
  return atTerminal(line, { TIDEBASE_DATABASE_URL: db.url }, typed);
}

/** Starts the agent directly; what it printed once it has ended. */
async function agent(issue: string): Promise<{ code: number | null; printed: string }> {
  const args = ["--issue", issue, "--out", folder, "--endpoint", mailbox.url];
  const child = startProgram(folder, args, { TIDEBASE_URL: server.url }, path("agent.ts"));
  const [stdout, stderr] = [collect(child.stdout), collect(child.stderr)];
  const code = await new Promise<number | null>((resolve) => child.once("close", resolve));
  return { code, printed: stdout() + stderr() };
}

async function order(issue: string, risk = "normal"): Promise<{ runId: string; gateId: string }> {
  const body = JSON.stringify({ issue, risk });
  const answer = await fetch(orders, { method: "POST", body });
  const { runId } = (await answer.json()) as { runId: string };
  await expect.poll(() => statusOf(runId), { timeout: 15_000 }).toBe("waiting");
  const { gates } = await db.call("gates.list", { runId });
  return { runId, gateId: String((gates as Json[])[0]?.["gateId"]) };
}

async function run(runId: string): Promise<Json> {
  const { run: found, result } = await db.call("runs.get", { runId, include: ["result"] });
  return { ...(found as Json), result };
}

async function statusOf(runId: string): Promise<unknown> {
  return (await run(runId))["status"];
}

async function gate(gateId: string): Promise<Json> {
  return (await db.call("gates.get", { gateId }))["gate"] as Json;
}

/** What the mailbox got of this run, with the key of each mail. */
function mailsOf(runId: string): { key: unknown; mail: Json }[] {
  return mailbox.received
    .map(({ headers, text }) => ({ key: headers["idempotency-key"], mail: JSON.parse(text) }))
    .filter(({ key }) => String(key).startsWith(runId));
}

async function startAssistant(human = newHuman()) {
  const assistant = await startAgent({ TIDEBASE_URL: server.url }, program(), human.answerForm);
  closing.push(() => assistant.close());
  return assistant;
}

type Decide = (gateId: string, decision: Decision) => Promise<unknown>;

const byForm: Decide = async (gateId, decision) => {
  const human = newHuman();
  human.fillsIn({ decision, answer_audience: "team", note: "by form" });
  const assistant = await startAssistant(human);
  const proposal = { gateId, proposedDecision: decision };
  const answer = await assistant.call("tidebase_resolve_gate", proposal);
  expect(answer).toMatchObject({ gateId, outcome: decision });
  expect(human.forms).toHaveLength(1);
};

const byCode: Decide = async (gateId, decision) => {
  const assistant = await startAssistant();
  const proposal = { gateId, proposedDecision: decision };
  const refused = await assistant.refused("tidebase_resolve_gate", proposal);
  expect(refused).toMatchObject({ outcome: "pendingHuman" });
  const given = decision === "approved" ? "--approve --set audience=team" : "--reject";
  const { code, screen } = await atStore(`gates code ${gateId} ${given} --note "by code"`);
  expect({ code, screen }).toEqual({ code: 0, screen: expect.stringMatching(CODE) });
  const [approvalCode] = CODE.exec(screen.slice(screen.lastIndexOf("code "))) ?? [];
  const brought = { ...proposal, approvalCode };
  const answer = await assistant.call("tidebase_resolve_gate", brought);
  expect(answer).toMatchObject({ gateId, outcome: decision });
};

const byTerminal: Decide = async (gateId, decision) => {
  const approves = decision === "approved";
  const word = approves ? "approve" : "reject";
  const { code, screen } = await atStore(`gates decide ${gateId} --${word} --note "by terminal"`, [
    ...(approves ? ([["one of team, everyone", "team"]] as [string, string][]) : []),
    [`Type "${word}"`, word],
  ]);
  expect({ code, screen }).toEqual({ code: 0, screen: expect.stringContaining(`is ${decision}`) });
};

const byPage: Decide = async (gateId, decision) => {
  const { screen } = await atStore(`gates open ${gateId} --base-url ${server.url}`);
  const [link = ""] = /http:\S+#link=[\w-]+/.exec(screen) ?? [];
  const page = await newPage();
  await page.goto(link);
  await page.getByRole("button", { name: "Sign in", exact: true }).click();
  await page.getByText(`Signed in as ${me}`).waitFor();
  if (decision === "approved") await page.getByLabel("Send it to").selectOption("team");
  await page.getByLabel("Note").fill("by page");
  const [button, heading] = decision === "approved" ? APPROVE : REJECT;
  await page.getByRole("button", { name: button, exact: true }).click();
  await page.getByRole("heading", { name: heading, exact: true }).waitFor();
};
const [APPROVE, REJECT] = [["Approve", "Approved"] as const, ["Reject", "Rejected"] as const];

interface Way {
  readonly way: string;
  readonly decide: Decide;
  readonly risk: string;
  readonly via: string;
  readonly assurance: string;
}

const WAYS: Way[] = [
  { way: "form", decide: byForm, risk: "normal", via: "form", assurance: "client_form" },
  { way: "code", decide: byCode, risk: "high", via: "code", assurance: "code" },
  { way: "terminal", decide: byTerminal, risk: "high", via: "tty", assurance: "code" },
  { way: "page", decide: byPage, risk: "high", via: "page", assurance: "signed_in" },
];

describe("whoever is asked decides, and the program goes on by itself", () => {
  test.each(WAYS)("approved by $way, the report is sent once", async (how) => {
    const { runId, gateId } = await order(`approved by ${how.way}`, how.risk);
    expect(mailsOf(runId)).toEqual([]);
    await how.decide(gateId, "approved");
    await expect.poll(() => statusOf(runId), { timeout: 15_000 }).toBe("completed");
    const { via, assurance } = how;
    expect(await gate(gateId)).toMatchObject({
      ...{ status: "approved", via, assurance, note: `by ${how.way}` },
      answer: { audience: "team" },
    });
    const text = expect.stringMatching(/^# Project report/);
    const mail = { to: "team@example.com", subject: `Project report approved by ${how.way}`, text };
    expect(mailsOf(runId)).toEqual([{ key: `${runId}:send report`, mail }]);
    expect(await run(runId)).toMatchObject({ attempts: 0, result: { status: "sent" } });
  });

  test.each(WAYS)("rejected by $way, nothing is sent", async (how) => {
    const { runId, gateId } = await order(`rejected by ${how.way}`, how.risk);
    await how.decide(gateId, "rejected");
    await expect.poll(() => statusOf(runId), { timeout: 15_000 }).toBe("completed");
    const { via, assurance } = how;
    const note = `by ${how.way}`;
    expect(await gate(gateId)).toMatchObject({ status: "rejected", via, assurance, note });
    expect(await run(runId)).toMatchObject({ result: { status: "rejected", note } });
    expect(mailsOf(runId)).toEqual([]);
  });
});

describe("started by hand, the agent ends where it waits", () => {
  beforeAll(async () => {
    await db.call("webhooks.update", { webhookId, disabled: true });
  });

  async function waiting(issue: string): Promise<{ runId: string; gateId: string }> {
    const { code, printed } = await agent(issue);
    expect({ code, printed }).toEqual({ code: 0, printed: expect.stringContaining("waits for") });
    const id = (noun: string) => new RegExp(`${noun}_[0-9a-f-]{36}`).exec(printed)?.[0] ?? "";
    return { runId: id("run"), gateId: id("gate") };
  }

  test("started again it waits on, after the decision it goes on, and then it is done", async () => {
    const { runId, gateId } = await waiting("by hand");
    expect(await waiting("by hand")).toEqual({ runId, gateId });
    expect(mailsOf(runId)).toEqual([]);
    await byTerminal(gateId, "approved");
    for (const _ of ["sends", "is told"])
      expect(await agent("by hand")).toEqual({
        code: 0,
        printed: `Sent to team@example.com (${mailbox.url}), approved by ${me}.\n`,
      });
    expect(mailsOf(runId)).toHaveLength(1);
    expect(await run(runId)).toMatchObject({ status: "completed", attempts: 0 });
  });

  test("rejected, it says by whom and why, and sends nothing", async () => {
    const { runId, gateId } = await waiting("turned down");
    await byTerminal(gateId, "rejected");
    for (const _ of ["stops", "is told"])
      expect(await agent("turned down")).toEqual({
        code: 0,
        printed: `Rejected by ${me}: by terminal. Nothing was sent.\n`,
      });
    expect(mailsOf(runId)).toEqual([]);
  });

  test("a report that is changed after its approval is not sent", async () => {
    const { runId, gateId } = await waiting("changed");
    await byTerminal(gateId, "approved");
    await appendFile(join(folder, runId, "report.md"), "One line more.\n");
    const { code, printed } = await agent("changed");
    expect(code).toBe(1);
    expect(printed).toContain("is not the report that was approved");
    expect(mailsOf(runId)).toEqual([]);
  });
});
