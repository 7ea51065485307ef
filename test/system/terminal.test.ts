import { spawn } from "node:child_process";
import { createRequire } from "node:module";
import { userInfo } from "node:os";
import { fileURLToPath, pathToFileURL } from "node:url";
import { expect, test, vi } from "vitest";
import { collect, useFolder } from "../../cli/test/support/program.ts";
import { useDatabase } from "../../core/test/support/database.ts";

const db = useDatabase();
const folder = useFolder();
const TSX = pathToFileURL(createRequire(import.meta.url).resolve("tsx")).href;
const MAIN = fileURLToPath(new URL("../../cli/src/main.ts", import.meta.url));
const CODE = /[0-9A-HJKMNP-TV-Z]{4}-[0-9A-HJKMNP-TV-Z]{4}/;

/** A real terminal, by `script` of util-linux (Debian: bsdutils), and somebody who types when asked. */
async function atTerminal(
  line: string,
  typed: readonly (readonly [asked: string, answer: string])[] = [],
  shell = "%",
): Promise<{ code: number | null; screen: string }> {
  const program = `"$NODE" --import "$TSX" --conditions=tidebase-source "$MAIN" ${line}`;
  const command = shell.replace("%", () => program);
  const { PATH, HOME } = process.env;
  const child = spawn("script", ["--quiet", "--return", "--command", command, "/dev/null"], {
    cwd: folder,
    env: {
      ...{ PATH, HOME, TSX, MAIN, NODE: process.execPath },
      ...{ SHELL: "/bin/sh", TERM: "dumb", TIDEBASE_DATABASE_URL: db.url },
    },
  });
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once("error", reject).once("close", resolve);
  });
  const screen = collect(child.stdout);
  for (const [asked, answer] of typed) {
    await vi.waitFor(() => expect(screen()).toContain(asked), { timeout: 30_000 });
    child.stdin.write(`${answer}\r`);
  }
  return { code: await ended, screen: screen() };
}

async function asked(question: object = {}): Promise<{ gateId: string; digest: string }> {
  return await db.gate(await db.begun(), question);
}

async function seen(gateId: string): Promise<unknown> {
  return (await db.call("gates.get", { gateId }))["gate"];
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
  for (const line of [
    `gates decide ${gateId} --approve --yes`,
    `gates code ${gateId} --approve`,
    `gates open ${gateId} --json`,
  ]) {
    const { screen } = await atTerminal(line, [], shell);
    expect(screen).not.toContain("#link=");
  }
  expect(await seen(gateId)).toMatchObject({ status: "open" });
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
