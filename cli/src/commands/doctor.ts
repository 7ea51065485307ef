import type { Command } from "commander";
import { type Cli, printAnswer } from "../cli.ts";
import type { CheckStatus, Finding } from "../doctor/check.ts";
import { diagnose } from "../doctor/doctor.ts";
import { EXIT } from "../failure.ts";
import { count, type Paint, plain } from "../output.ts";

const HELP = `
Looks at Node, the store and how it was found, its Postgres (version, rights, settings, clock, pooler, cleaning
up), the schema, the HTTP server, what lies still and needs somebody, and what coding agents are told in this
project. It changes nothing. With --url it tells what a server tells, and names what needs the database.

The exit code is 1 when a check fails; warnings and skipped checks leave it 0. With --json it prints a list of
{"check","status","detail","fix"}.

Examples:
  $ npx tidebase doctor
  $ npx tidebase doctor --json`;

/** `tidebase doctor`. */
export function addDoctorCommand(program: Command, cli: Cli): void {
  program
    .command("doctor")
    .description("what is wrong with the setup and the store, and what helps")
    .addHelpText("after", HELP)
    .action(async () => {
      const findings = await diagnose(cli);
      if (findings.some(({ status }) => status === "fail")) cli.exitWith(EXIT.failure);
      await printAnswer(cli, findings, (all) => findingsText(cli.paint, all));
    });
}

const COLOURS = { ok: "green", warn: "yellow", fail: "red", skipped: "dim" } as const;
const WIDTH = "skipped".length;

function findingsText(paint: Paint, findings: readonly Finding[]): string {
  const wide = Math.max(...findings.map(({ check }) => check.length));
  const lines = findings.map(({ check, status, detail, fix }) => {
    const head = `${paint(COLOURS[status], status.padEnd(WIDTH))}  ${check.padEnd(wide)}`;
    const help =
      fix === null || status === "skipped"
        ? ""
        : `\n${" ".repeat(WIDTH + wide + 4)}fix: ${plain(fix)}`;
    return `${head}  ${plain(detail)}${help}\n`;
  });
  return `${lines.join("")}\n${summary(findings)}\n`;
}

function summary(findings: readonly Finding[]): string {
  const many = (status: CheckStatus) => findings.filter((one) => one.status === status).length;
  const skipped = many("skipped") === 0 ? "" : `, ${many("skipped")} skipped`;
  return `${count(findings.length, "check")}: ${many("ok")} ok, ${count(many("warn"), "warning")}, ${count(many("fail"), "failure")}${skipped}.`;
}
