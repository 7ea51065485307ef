import { expect, test } from "vitest";
import { runInside, runProgram, useFolder } from "./support/program.ts";

const folder = useFolder();
const NOWHERE = { TIDEBASE_DATABASE_URL: "postgres://somebody:secret@127.0.0.1:1/none" };

test("--help tells the commands, the store's rule and the exit codes", async () => {
  const { code, stdout, stderr } = await runProgram(folder, ["--help"]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  for (const word of [
    "migrate",
    "db",
    "runs",
    "keys",
    "gates",
    "signals",
    "usage",
    "webhooks",
    "deliveries",
    "queues",
    "schedules",
    "enqueue",
    "TIDEBASE_URL",
    "Exit codes",
    "runs verdict",
  ])
    expect(stdout).toContain(word);
});

test.each([
  ["migrate"],
  ["db reset"],
  ["db export"],
  ["db import"],
  ["runs list"],
  ["runs get"],
  ["runs verdict"],
  ["runs recover"],
  ["runs review"],
  ["runs fork"],
  ["runs rerun"],
  ["runs steps"],
  ["runs events"],
  ["runs state"],
  ["runs cancel"],
  ["runs deadline"],
  ["runs children"],
  ["enqueue"],
  ["queues list"],
  ["queues show"],
  ["queues pause"],
  ["queues resume"],
  ["queues limits"],
  ["queues push"],
  ["queues redrive"],
  ["schedules list"],
  ["schedules show"],
  ["schedules fires"],
  ["schedules put"],
  ["schedules pause"],
  ["schedules resume"],
  ["schedules trigger"],
  ["schedules delete"],
  ["keys create"],
  ["gates list"],
  ["gates show"],
  ["gates decide"],
  ["gates code"],
  ["gates open"],
  ["gates extend"],
  ["signals send"],
  ["usage"],
  ["usage list"],
  ["webhooks create"],
  ["webhooks list"],
  ["webhooks update"],
  ["webhooks rotate"],
  ["webhooks disable"],
  ["webhooks enable"],
  ["deliveries list"],
  ["deliveries redeliver"],
])("%s --help shows examples and the global options", async (command) => {
  const { code, stdout } = await runInside(folder, [...command.split(" "), "--help"]);
  expect(code).toBe(0);
  expect(stdout).toContain("Examples:");
  expect(stdout).toContain("--json");
});

test("--version prints the version alone", async () => {
  const { code, stdout } = await runProgram(folder, ["--version"]);
  expect(code).toBe(0);
  expect(stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
});

test.each<[string, string[]]>([
  ["no command", []],
  ["half a command", ["runs"]],
  ["an unknown command", ["rusn"]],
  ["an unknown command of a group", ["runs", "lst"]],
  ["an unknown option", ["runs", "list", "--stauts", "failed"]],
  ["a missing argument", ["runs", "get"]],
  ["too many arguments", ["runs", "get", "a", "b"]],
  ["a status there is not", ["runs", "list", "--status", "broken"]],
  ["a number that is none", ["runs", "list", "--limit", "many"]],
  ["a time that is none", ["runs", "list", "--since", "yesterday"]],
  ["a missing option", ["keys", "create", "ci"]],
  ["a scope there is not", ["keys", "create", "ci", "--scopes", "root"]],
  ["a review without a reason", ["runs", "review", "r", "s", "--decision", "retry"]],
  ["a decision there is not", ["runs", "review", "r", "s", "--decision", "no", "--reason", "r"]],
  [
    "two stores",
    ["runs", "list", "--url", "http://localhost:1", "--database-url", "postgres://h/d"],
  ],
  ["a gate to be decided neither way", ["gates", "decide", "g"]],
  ["a gate to be decided both ways", ["gates", "decide", "g", "--approve", "--reject"]],
  ["two answers", ["gates", "decide", "g", "--approve", "--answer", "{}", "--set", "a=1"]],
  ["an answer that is no JSON", ["gates", "decide", "g", "--approve", "--answer", "{"]],
  ["a code that decides nothing", ["gates", "code", "g"]],
  ["a code that decides everything", ["gates", "code", "g", "--approve", "--reject"]],
  ["a gate without another end", ["gates", "extend", "g"]],
  ["a gate with two other ends", ["gates", "extend", "g", "--ms", "1", "--now"]],
  ["a gate status there is not", ["gates", "list", "--status", "pending"]],
  ["a webhook without an address", ["webhooks", "create", "ops"]],
  ["a webhook that nothing changes", ["webhooks", "update", "w"]],
  [
    "a webhook of all runs and some",
    ["webhooks", "update", "w", "--every-run", "--only-named-runs"],
  ],
  [
    "a webhook's address as the store's",
    ["webhooks", "update", "w", "--url", "http://h", "--events", "*"],
  ],
  ["a redelivery of nothing", ["deliveries", "redeliver"]],
  ["a reset that nobody confirmed", ["db", "reset"]],
  ["a cancellation that nobody confirmed", ["runs", "cancel", "r"]],
  ["a deadline that is none", ["runs", "deadline", "r", "tomorrow"]],
  ["an input that is no JSON", ["enqueue", "w", "--input", "{"]],
  ["a run for two instants", ["enqueue", "w", "--delay", "1m", "--at", "2030-01-01"]],
  ["a priority that is none", ["enqueue", "w", "--priority", "high"]],
  ["limits that limit nothing", ["queues", "limits", "q"]],
  ["a tree without its run", ["usage", "--tree"]],
  ["a grouping there is not", ["usage", "--by", "month"]],
  ["a time of usage that is none", ["usage", "--since", "yesterday"]],
  ["a limit that is none", ["queues", "limits", "q", "--rate", "fast"]],
  ["a push to nowhere", ["queues", "push", "q"]],
  ["a redrive that nobody confirmed", ["queues", "redrive", "q"]],
  ["a failure class there is not", ["queues", "redrive", "q", "--failure-class", "bad"]],
  ["a schedule without a time", ["schedules", "put", "s", "--workflow", "w"]],
  [
    "an overlap there is not",
    ["schedules", "put", "s", "--workflow", "w", "--cron", "@daily", "--overlap", "both"],
  ],
])("%s is wrong usage: code 2, nothing on standard output", async (_, args) => {
  const env = { TIDEBASE_HOME: folder };
  const { code, stdout, stderr } = await runInside(folder, args, env);
  expect(stdout).toBe("");
  expect(stderr).not.toBe("");
  expect(code).toBe(2);
});

test("wrong usage is told in one line and one for the fix, with --json as JSON", async () => {
  const text = await runInside(folder, ["runs", "list", "--stauts", "failed"]);
  expect(text.stderr).toBe(
    "tidebase: unknown option '--stauts' (Did you mean --status?)\n  fix: Run `npx tidebase runs list --help`.\n",
  );
  const json = await runProgram(folder, ["runs", "list", "--stauts", "failed", "--json"]);
  expect(JSON.parse(json.stderr)).toEqual({
    error: {
      code: "usage",
      message: "unknown option '--stauts' (Did you mean --status?)",
      fix: "Run `npx tidebase runs list --help`.",
    },
  });
  expect(json.code).toBe(2);
});

test("a database that does not answer is told without its password", async () => {
  const { code, stdout, stderr } = await runInside(folder, ["runs", "list", "--json"], NOWHERE);
  expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
  expect(stderr).not.toContain("secret");
  expect(JSON.parse(stderr).error).toMatchObject({
    code: "database_unreachable",
    message: expect.stringContaining("127.0.0.1:1/none"),
    fix: expect.any(String),
  });
});

test.each([["$" + "{SERVER}"], [""], ["localhost:7373"]])(
  "TIDEBASE_URL=%s is wrong usage, and is named",
  async (value) => {
    const { code, stderr } = await runInside(folder, ["runs", "list"], { TIDEBASE_URL: value });
    expect(code).toBe(2);
    expect(stderr).toContain("TIDEBASE_URL");
    expect(stderr).toContain("\n  fix: ");
  },
);

test("commands of the database refuse a server", async () => {
  for (const args of [["migrate"], ["db", "reset", "--yes"], ["db", "export"], ["db", "url"]]) {
    const { code, stdout, stderr } = await runInside(folder, [
      ...args,
      "--url",
      "http://h",
      "--json",
    ]);
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
    expect(JSON.parse(stderr).error.code).toMatch(/^store_(remote|not_embedded)$/);
  }
});
