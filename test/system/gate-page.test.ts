import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import type { BrowserContextOptions, Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { openDatabase } from "../../core/src/database.ts";
import { issueForChannel } from "../../core/src/gates/channel.ts";
import { useDatabase } from "../../core/test/support/database.ts";
import { type RunningServer, startServer } from "../../http-server/src/index.ts";
import { auditOf, gateOf, newLink, openGate } from "../../http-server/test/gate-support.ts";
import { useBrowser } from "../support/browser.ts";

const db = useDatabase();
const newPage = useBrowser();
const channels = openDatabase({ databaseUrl: db.url });
let server: RunningServer;

beforeAll(async () => {
  server = await startServer({ core: db.core, port: 0 });
});
afterAll(async () => {
  await server?.close();
  await channels.close();
});

const answerSchema = {
  type: "object",
  properties: {
    channel: { type: "string", title: "Where to", enum: ["mail", "chat"] },
    copies: { type: "integer", title: "Copies", minimum: 1, maximum: 5 },
    urgent: { type: "boolean", title: "Urgent" },
    greeting: { type: "string", title: "Greeting", maxLength: 40 },
  },
  required: ["channel", "copies", "urgent"],
};

interface Visit {
  readonly page: Page;
  /** Errors of scripts, violations of the content security policy, dialogs. */
  readonly faults: string[];
}

/** A browser of its own, without cookies. */
async function visit(options: BrowserContextOptions = {}): Promise<Visit> {
  const page = await newPage(options);
  const faults: string[] = [];
  page.on("pageerror", (error) => faults.push(String(error)));
  page.on("dialog", (dialog) => {
    faults.push(dialog.message());
    void dialog.dismiss();
  });
  page.on("console", (message) => {
    const isRefusal = /the server responded with a status of 4\d\d/.test(message.text());
    if (message.type() === "error" && !isRefusal) faults.push(message.text());
  });
  return { page, faults };
}

/** Signed in by a one-time link, as a human does it. */
async function signIn({ page }: Visit, path: string): Promise<void> {
  await page.goto(`${server.url}${path}#link=${await newLink(db)}`);
  await page.getByRole("button", { name: "Sign in", exact: true }).click();
  await page.getByText("Signed in as ada").waitFor();
}

test("somebody signs in by a link, fills in the form, approves, and sees the decision", async () => {
  const gate = await openGate(db, { prompt: "Send the report?", answerSchema, risk: "critical" });
  const { page, faults } = await visit();
  const link = await newLink(db);
  await page.goto(`${server.url}${gate.path}#link=${link}`);
  expect(page.url()).toBe(`${server.url}${gate.path}`);
  expect(await page.getByRole("button").allInnerTexts()).toEqual(["Sign in"]);
  await page.keyboard.press("Enter"); // the button has the focus
  await page.getByText("Signed in as ada").waitFor();
  expect(page.url()).toBe(`${server.url}${gate.path}`);

  await page.getByRole("button", { name: "Approve" }).click();
  await page.getByLabel("Where to").selectOption("chat");
  await page.getByLabel("Copies").fill("3");
  await page.getByLabel("Copies").press("Enter");
  await page.getByLabel("Urgent").selectOption("no");
  await page.getByLabel("Greeting").fill("Hello");
  await page.getByLabel("Greeting").press("Enter");
  await page.getByLabel("Note").fill("Looks right.");
  expect(await gateOf(db, gate.gateId)).toMatchObject({ status: "open" });
  await page.getByRole("button", { name: "Approve" }).click();
  await page.getByRole("heading", { name: "Approved" }).waitFor();
  expect(await page.locator(".decision").innerText()).toMatch(/ada, via page.*Looks right\./s);
  expect(await page.getByRole("main").getByRole("button").count()).toBe(0);
  expect(await gateOf(db, gate.gateId)).toMatchObject({
    ...{ status: "approved", decidedBy: "ada", via: "page", assurance: "signed_in" },
    answer: { channel: "chat", copies: 3, urgent: false, greeting: "Hello" },
  });
  expect(faults).toEqual([]);
});

test("whoever signs out has to sign in again to decide", async () => {
  const gate = await openGate(db);
  const visitor = await visit();
  const { page, faults } = visitor;
  await signIn(visitor, gate.path);
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.getByRole("heading", { name: "Sign in to decide" }).waitFor();
  await page.goto(`${server.url}${gate.path}`);
  expect(await page.getByRole("button", { name: "Approve" }).count()).toBe(0);
  expect(await page.context().cookies()).toEqual([]);
  expect(faults).toEqual([]);
});

test("a rejection asks for no answer", async () => {
  const gate = await openGate(db, { answerSchema });
  const visitor = await visit();
  await signIn(visitor, gate.path);
  await visitor.page.getByRole("button", { name: "Reject", exact: true }).click();
  await visitor.page.getByRole("heading", { name: "Rejected" }).waitFor();
  expect(await gateOf(db, gate.gateId)).toMatchObject({ status: "rejected" });
  expect(visitor.faults).toEqual([]);
});

test("a code is shown in the page, and not when it is opened again", async () => {
  const gate = await openGate(db, { risk: "high" });
  const visitor = await visit();
  const { page } = visitor;
  await signIn(visitor, gate.path);
  await page.getByText("Decide elsewhere").click();
  await page.getByRole("button", { name: "Show a code to approve" }).click();
  const code = await page.locator(".code").innerText();
  expect(code).toMatch(/^[0-9A-Z]{4}-[0-9A-Z]{4}$/);
  await page.goto(`${server.url}${gate.path}`);
  expect(await page.content()).not.toContain(code);
  expect(visitor.faults).toEqual([]);
});

test("the inbox leads to a gate by keyboard alone", async () => {
  await openGate(db, { prompt: "Found by keyboard?" });
  const visitor = await visit();
  const { page } = visitor;
  await signIn(visitor, "/gates");
  await page.getByRole("link", { name: /Found by keyboard\?/ }).press("Enter");
  await page.getByRole("heading", { name: "Found by keyboard?" }).waitFor();
  expect(visitor.faults).toEqual([]);
});

test("a channel's link offers one button, which alone decides", async () => {
  const gate = await openGate(db);
  const issued = await issueForChannel(channels, {
    ...gate,
    channel: await db.channel("mail"),
  });
  const { page, faults } = await visit();
  const token = issued?.rejected.token ?? "";
  await page.goto(`${server.url}${gate.path}#token=${token}&decision=rejected`);
  expect(page.url()).toBe(`${server.url}${gate.path}`);
  expect(await page.getByRole("button").allInnerTexts()).toEqual(["Reject"]);
  expect(await gateOf(db, gate.gateId)).toMatchObject({ status: "open" });
  await page.getByRole("button", { name: "Reject" }).click();
  await page.getByRole("heading", { name: "Rejected" }).waitFor();
  expect(await gateOf(db, gate.gateId)).toMatchObject({
    decidedBy: expect.stringMatching(/^channel mail-/),
  });
  expect(faults).toEqual([]);
});

test("without scripts a link can be pasted and a gate decided", async () => {
  const gate = await openGate(db);
  const { page } = await visit({ javaScriptEnabled: false });
  await page.goto(`${server.url}${gate.path}`);
  await page.getByText("Paste a link").click();
  await page
    .getByLabel("One-time link")
    .fill(`${server.url}${gate.path}#link=${await newLink(db)}`);
  await page.getByRole("button", { name: "Sign in with the link" }).click();
  await page.getByRole("button", { name: "Approve", exact: true }).click();
  await page.getByRole("heading", { name: "Approved" }).waitFor();
});

test("what others wrote runs nothing", async () => {
  const evil = `<img src=x onerror=alert(1)><script>alert(2)</script></pre><svg onload=alert(3)>`;
  const gate = await openGate(db, { prompt: evil, data: { [evil]: evil } });
  const { page, faults } = await visit();
  await page.goto(`${server.url}${gate.path}`);
  expect(await page.getByRole("heading", { level: 1 }).innerText()).toBe(evil);
  expect(faults).toEqual([]);
});

test("a page of another port, open beside a session, cannot decide", async () => {
  const gate = await openGate(db);
  const visitor = await visit();
  await signIn(visitor, gate.path);
  const csrf = await visitor.page.locator('#decide [name="csrf"]').first().inputValue();
  const fields = { csrf, digest: gate.digest, decision: "approved" };
  const inputs = Object.entries(fields).map(
    ([name, value]) => `<input name="${name}" value="${value}">`,
  );
  const form = `<form method="post" action="${server.url}${gate.path}/decide">${inputs.join("")}<button>Go</button></form>`;
  const attacker = createServer((_, answer) => answer.end(`<!doctype html>${form}`));
  await new Promise<void>((resolve) => attacker.listen(0, "127.0.0.1", resolve));
  await visitor.page.goto(`http://127.0.0.1:${(attacker.address() as AddressInfo).port}/`);
  await visitor.page.getByRole("button", { name: "Go" }).click();
  await visitor.page.getByText("origin_refused").waitFor();
  attacker.close();
  attacker.closeAllConnections();
  expect(await gateOf(db, gate.gateId)).toMatchObject({ status: "open" });
  expect(await auditOf(db, gate.gateId)).toEqual(["page/page gates.resolve scope_missing"]);
});
