import { expect, test } from "vitest";
import { useDatabase } from "../../core/test/support/database.ts";
import { plain, plainJson } from "../src/output.ts";
import { runInside, useFolder } from "./support/program.ts";

const db = useDatabase();
const folder = useFolder();
const EVIL = "\u001b[2J\u009b31m\u202e\u200b\ud800 \u2028 é 日本 𝄞\n\t\0\u007f\u2800\ufe0f\ue000";
const COLOUR = new RegExp(`${String.fromCharCode(27)}\\[\\d+m`, "g");
/** What a terminal obeys or shows as nothing, but line ends. */
const OBEYED = /[\p{Cf}\p{Zl}\p{Surrogate}\p{DI}\u2800\ue000]|(?!\n)\p{Cc}/u;

async function cancelled(): Promise<string> {
  const runId = await db.pending();
  await db.cancel(runId);
  return runId;
}

test("colours are for a terminal that wants them", async () => {
  await cancelled();
  const env = { TIDEBASE_DATABASE_URL: db.url };
  const list = ["runs", "list"];
  const screen = await runInside(folder, list, env, "");
  expect(screen.stdout).toMatch(COLOUR);
  const bare = await runInside(folder, list, env);
  expect(bare.stdout).not.toMatch(COLOUR);
  expect(screen.stdout.replace(COLOUR, "")).toBe(bare.stdout);
  for (const unwanted of [{ NO_COLOR: "1" }, { TERM: "dumb" }])
    expect((await runInside(folder, list, { ...env, ...unwanted }, "")).stdout).toBe(bare.stdout);
});

test("--json on a terminal is the same value, with nothing that the terminal obeys", async () => {
  const lease = await db.begun();
  await db.call("state.write", { ...lease, kind: "set", value: { [EVIL]: [EVIL] } });
  const args = ["runs", "state", lease.runId, "--json"];
  const env = { TIDEBASE_DATABASE_URL: db.url };
  const { stdout } = await runInside(folder, args, env, "");
  expect(stdout).not.toMatch(OBEYED);
  expect(JSON.parse(stdout)).toEqual(await db.call("state.read", { runId: lease.runId }));
});

test("plain text is one line and shows what was hidden", () => {
  expect(plain(EVIL)).not.toMatch(/[\p{C}\p{Zl}\p{DI}\u2800]/u);
  expect(plain(EVIL)).toContain(
    "\\u{1b}[2J\\u{9b}31m\\u{202e}\\u{200b}\\u{d800} \\u{2028} é 日本 𝄞\\n\\t",
  );
  const tag = "\u{e0041}"; // a hidden character beyond the first plane
  expect(plain(tag)).toBe("\\u{e0041}");
  expect(plainJson(JSON.stringify(EVIL + tag))).not.toMatch(OBEYED);
  expect(JSON.parse(plainJson(JSON.stringify(EVIL + tag)))).toBe(EVIL + tag);
});

test("an export is not written on a screen", async () => {
  const { code, stdout } = await runInside(folder, ["db", "export"], {}, "");
  expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
});

test.each<[string, string, string[]]>([
  ["something else", "yes\n", []],
  ["nothing", "", []],
])("a reset is not done when %s is typed", async (_, typed, flags) => {
  const env = { TIDEBASE_HOME: folder };
  const { code, stderr } = await runInside(folder, ["db", "reset", ...flags], env, typed);
  expect(code).toBe(1);
  expect(stderr).toContain(`Delete all runs and keys in ${folder}?`);
  expect(stderr).toContain("Nothing was deleted.");
});

test("a reset never asks a program", async () => {
  const env = { TIDEBASE_HOME: folder };
  const { code, stderr } = await runInside(folder, ["db", "reset", "--json"], env, "delete\n");
  expect(code).toBe(2);
  expect(JSON.parse(stderr).error.fix).toContain("--yes");
});
