import { join } from "node:path";
import { PassThrough } from "node:stream";
import type { Command } from "commander";
import { expect, test } from "vitest";
import { useDatabase } from "../../core/test/support/database.ts";
import { openProgram } from "../src/program.ts";
import { openTerminal } from "../src/terminal.ts";
import { type Env, runInside, useFolder } from "./support/program.ts";

const db = useDatabase();
const folder = useFolder();
const env: Env = {
  TIDEBASE_DATABASE_URL: db.url,
  TIDEBASE_HOME: join(folder, "home"),
  TIDEBASE_PORT: "1",
};

function tree(): Command {
  const [stdin, stdout, stderr] = [new PassThrough(), new PassThrough(), new PassThrough()];
  const terminal = openTerminal({ stdin, stdout, stderr }, {});
  return openProgram({ terminal, env: {}, cwd: folder, version: "0", leaving: new Set() }).program;
}

/** Each command by the words that name it. */
function* commandsOf(
  command: Command,
  path: readonly string[] = [],
): Generator<[string[], Command]> {
  for (const one of command.commands) {
    yield [[...path, one.name()], one];
    yield* commandsOf(one, [...path, one.name()]);
  }
}

const all = [...commandsOf(tree())];
const leaves = all.filter(
  ([, { commands, options }]) => commands.length === 0 || options.length > 0,
);
/** What a required option or argument is given: nothing that is there. */
const GIVEN: Record<string, string> = {
  decision: "retry",
  deadline: "10m",
  scopes: "read",
  to: "https://hook.example/",
  cron: "@daily",
  file: "missing.jsonl",
};

function requiredOf({ registeredArguments, options }: Command): string[] {
  const words = registeredArguments.filter(({ required }) => required);
  const flags = options.filter(({ mandatory }) => mandatory);
  return [
    ...words.map((argument) => GIVEN[argument.name()] ?? "none"),
    ...flags.flatMap((option) => [option.long ?? "", GIVEN[option.attributeName()] ?? "none"]),
  ];
}

test("every command and option says what it does, and each command shows how it is used", () => {
  for (const [path, command] of all) {
    expect(command.description(), path.join(" ")).not.toBe("");
    for (const option of command.options)
      expect(option.description, `${path.join(" ")} ${option.flags}`).not.toBe("");
  }
  expect(leaves.length).toBeGreaterThan(50);
});

test("every command prints its help and ends with 0, also the groups", async () => {
  for (const [path] of all) {
    const { code, stdout, stderr } = await runInside(folder, [...path, "--help"], env);
    expect({ path, code, stderr }).toEqual({ path, code: 0, stderr: "" });
    expect(stdout).toContain(`Usage: tidebase ${path.join(" ")}`);
  }
});

test("an unknown option of any command is wrong usage, told as JSON when that was asked for", async () => {
  for (const [path, command] of leaves) {
    const args = [...path, ...requiredOf(command), "--no-such-option", "--json"];
    const { code, stdout, stderr } = await runInside(folder, args, env);
    expect({ path, code, stdout }).toEqual({ path, code: 2, stdout: "" });
    expect(JSON.parse(stderr).error).toMatchObject({
      code: "usage",
      message: expect.stringContaining("--no-such-option"),
    });
  }
});

test("without a terminal no command waits, and with --json each prints one document or one error", async () => {
  for (const [path, command] of leaves) {
    const args = [...path, ...requiredOf(command), "--json"];
    const { code, stdout, stderr } = await runInside(folder, args, env);
    const told = `${path.join(" ")}: ${code} ${stdout.slice(0, 200)} ${stderr}`;
    if (stdout === "") expect(Object.keys(JSON.parse(stderr)), told).toEqual(["error"]);
    else if (path.join(" ") === "db export")
      expect(JSON.parse(stdout.split("\n", 1)[0] ?? ""), told).toBeTruthy();
    else expect([JSON.parse(stdout), stderr].length, told).toBe(2);
    if (stdout === "") expect(JSON.parse(stderr).error.code, told).not.toBe("internal");
    expect([0, 1, 2], told).toContain(code);
  }
}, 60_000);

test("messages write our commands as npx does, which works in every project", async () => {
  const { stderr } = await runInside(folder, ["runs", "get"], env);
  expect(stderr).toContain("Run `npx tidebase runs get --help`.");
  for (const [path] of leaves) {
    const { stdout } = await runInside(folder, [...path, "--help"], env);
    expect(stdout, path.join(" ")).not.toMatch(/\$ tidebase |`tidebase [a-z]/);
  }
});
