#!/usr/bin/env node
import { readFile } from "node:fs/promises";
import { constants } from "node:os";
import { runProgram } from "./program.ts";
import { openTerminal } from "./terminal.ts";

const { version } = JSON.parse(
  await readFile(new URL("../package.json", import.meta.url), "utf8"),
) as { version: string };

/** What is to be left in order when a signal ends the program; a second one ends it at once. */
const leaving = new Set<() => Promise<void>>();
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const)
  process.once(signal, async () => {
    for (const leave of leaving) await leave().catch(() => {});
    process.exit(128 + constants.signals[signal]);
  });

process.exitCode = await runProgram(process.argv.slice(2), {
  terminal: openTerminal(process, process.env),
  env: process.env,
  cwd: process.cwd(),
  version,
  leaving,
});
