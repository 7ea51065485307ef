import type { Command } from "commander";
import { type Cli, printAnswer } from "../cli.ts";
import { CommandError, EXIT, UsageError } from "../failure.ts";
import { type FileReport, planInit } from "../init/init.ts";
import { type Installed, installMcp, MCP_CLIENTS } from "../init/mcp.ts";
import { plain } from "../output.ts";
import { tell } from "../stores.ts";
import { oneMore } from "./gates-decide.ts";

const HELP = `
Writes a marked block into AGENTS.md and CLAUDE.md, whichever exist (a CLAUDE.md that sends its reader to
AGENTS.md is left alone; AGENTS.md is made when there is neither), and the skill into .claude/skills/tidebase
and .agents/skills/tidebase. A second time it changes nothing; after an upgrade it brings them up to date.
What somebody edited is shown, and replaced only with --force.

--mcp has \`tidebase-mcp install\` put the MCP server into a client's configuration: claude-code, cursor, vscode,
codex, claude-desktop, gemini-cli or windsurf. With --check nothing is changed; the exit code is 1 when
something is to be done.

Examples:
  $ npx tidebase init
  $ npx tidebase init --mcp claude-code --mcp cursor
  $ npx tidebase init --check
  $ npx tidebase init --remove`;

interface InitOptions {
  readonly check?: boolean;
  readonly dryRun?: boolean;
  readonly remove?: boolean;
  readonly force?: boolean;
  readonly skill: boolean;
  readonly mcp?: string[];
}

/** `tidebase init`. */
export function addInitCommand(program: Command, cli: Cli): void {
  program
    .command("init")
    .description(
      "tell coding agents about Tidebase: AGENTS.md, CLAUDE.md, the skill, the MCP server",
    )
    .option("--check", "say what is to be done, and change nothing")
    .option("--dry-run", "show the changes as a diff, and make none")
    .option("--remove", "take everything out again")
    .option("--force", "also replace what somebody edited")
    .option("--no-skill", "leave the skill out")
    .option("--mcp <client>", "also install the MCP server there; may be repeated", oneMore)
    .addHelpText("after", HELP)
    .action(async (options: InitOptions) => await init(cli, options));
}

async function init(cli: Cli, options: InitOptions): Promise<void> {
  const { check = false, dryRun = false, remove = false, force = false, mcp = [] } = options;
  checkUsage(options);
  const { files, apply } = await planInit(cli.cwd, { remove, force, skill: options.skill });
  const changes = files.filter(({ change }) => change !== "none");
  const looks = check || dryRun;
  if (!looks) await refuseHeld(cli, files);
  if (check && changes.length > 0) cli.exitWith(EXIT.failure);
  if (!looks) await apply();
  const clients: Installed[] = [];
  for (const client of mcp) clients.push(await installMcp(cli, client, { remove, dryRun }));
  const failed = clients.find(({ exitCode }) => exitCode !== 0);
  if (failed !== undefined) cli.exitWith(failed.exitCode);
  const answer = {
    files: check ? files.map(({ diff: _, ...file }) => file) : files,
    written: !looks && changes.length > 0,
    mcp: clients.map(({ client, exitCode, stdout, stderr }) => ({
      ...{ client, exitCode, report: parsed(stdout) },
      ...(stderr === "" ? {} : { message: stderr.trim() }),
    })),
  };
  await printAnswer(cli, answer, () => initText(files, options) + clients.map(saidBy).join(""));
  for (const line of clients.flatMap(({ stderr }) => stderr.trimEnd().split("\n")))
    if (line !== "") tell(cli, line);
}

function checkUsage({ check, dryRun, mcp = [] }: InitOptions): void {
  const besides = [...(dryRun === true ? ["--dry-run"] : []), ...(mcp.length > 0 ? ["--mcp"] : [])];
  if (check === true && besides.length > 0)
    throw new UsageError(
      "--check goes alone: it changes and shows nothing.",
      `Leave out ${besides.join(" and ")}, or else --check.`,
    );
  const odd = mcp.find((client) => !MCP_CLIENTS.includes(client));
  if (odd !== undefined)
    throw new UsageError(
      `--mcp: ${JSON.stringify(odd)} is no client that is known.`,
      `Name one of ${MCP_CLIENTS.join(", ")}.`,
    );
}

/** Shows what would be lost before it refuses. */
async function refuseHeld(cli: Cli, files: readonly FileReport[]): Promise<void> {
  const held = files.filter((file) => file.held !== undefined);
  if (held.length === 0) return;
  if (cli.flags().json !== true) await cli.terminal.out(held.map(diffText).join(""));
  throw new CommandError("edited", {
    message: `Nothing was changed: ${held.map((file) => `${file.file} (${file.held})`).join(", ")}.`,
    fix: "Move what was written elsewhere, or add --force to lose it.",
    ...(cli.flags().json === true ? { data: { files: held } } : {}),
  });
}

function initText(files: readonly FileReport[], { check, dryRun, remove }: InitOptions): string {
  const changes = files.filter(({ change }) => change !== "none");
  if (dryRun === true) return dryRunText(changes);
  if (changes.length === 0)
    return remove === true
      ? "Nothing of Tidebase is here.\n"
      : "Up to date: nothing was changed.\n";
  const verbs = check === true ? TO_DO : DONE;
  const lines = changes.map(({ file, change, held }) => {
    const force = held === undefined ? "" : ` (needs --force: ${held})`;
    return `${verbs[change]} ${plain(file)}${force}\n`;
  });
  const next =
    check === true ? `Run \`npx tidebase init${remove === true ? " --remove" : ""}\`.\n` : "";
  return lines.join("") + next;
}

const TO_DO = {
  none: "",
  create: "To create:",
  update: "To update:",
  remove: "To clear:",
  delete: "To delete:",
};
const DONE = {
  none: "",
  create: "Created",
  update: "Updated",
  remove: "Cleared",
  delete: "Deleted",
};

function dryRunText(changes: readonly FileReport[]): string {
  if (changes.length === 0) return "Up to date: nothing would be changed.\n";
  return `${changes.map(diffText).join("")}Nothing was changed: this was a dry run.\n`;
}

/** Lines of the user's own files: shown as they are, but for what a terminal obeys. */
function diffText({ diff = "" }: FileReport): string {
  return diff
    .split("\n")
    .map((line) => plain(line.replaceAll("\t", "    ")))
    .join("\n");
}

function saidBy({ client, stdout }: Installed): string {
  return `\n${client}:\n${stdout}`;
}

function parsed(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    return json === "" ? null : json;
  }
}
