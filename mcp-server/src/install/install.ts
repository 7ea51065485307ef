import { createTwoFilesPatch } from "diff";
import { readArguments } from "../arguments.ts";
import type { Program } from "../program.ts";
import { type Launch, launchOf } from "./clients.ts";
import type { Edit } from "./edit.ts";
import { editJson } from "./edit-json.ts";
import { editToml } from "./edit-toml.ts";
import { InstallError } from "./install-error.ts";
import { type Machine, thisMachine } from "./machine.ts";
import { INSTALL_HELP, type InstallOptions, readInstallOptions } from "./options.ts";
import { looksSecret, withoutSecrets } from "./secrets.ts";
import { readTarget, replaceTarget, type Target } from "./target.ts";

const DONE = 0;
const NOT_DONE = 1;
const USAGE_ERROR = 2;

type InstallProgram = Pick<Program, "env" | "cwd" | "write" | "log">;

/** What was found, and what came of it: the object that `--json` prints. */
const NOT_FOR_A_CLIENT =
  "these start no server on standard input and output. tidebase-mcp --help names those that do.";

interface Report {
  readonly client: string;
  readonly scope: string;
  readonly file: string;
  readonly change: "none" | "add" | "change" | "remove";
  readonly written: boolean;
  /** As a unified diff, without secrets. */
  readonly diff: string;
  readonly backup?: string;
  readonly notes: readonly string[];
}

/**
 * `tidebase-mcp install`: puts the server into the file of the client that was named, shows what
 * changes, and asks first. Returns the exit code: 0 done or nothing to do, 1 nothing was changed,
 * 2 the command line is wrong.
 */
export async function install(
  program: InstallProgram,
  args: readonly string[],
  machine: Machine = thisMachine(),
): Promise<number> {
  const request = readInstallOptions(args);
  if (request.kind === "help") {
    program.write(INSTALL_HELP);
    return DONE;
  }
  if (request.kind === "refused") {
    program.log(`${request.because}\n\n${INSTALL_HELP}`);
    return USAGE_ERROR;
  }
  const server = await readArguments(request.asked.options);
  if (server.kind !== "serve") {
    const because = server.kind === "refused" ? server.because : NOT_FOR_A_CLIENT;
    program.log(`Behind --: ${because}`);
    return USAGE_ERROR;
  }
  try {
    return await carryOut(program, machine, request.asked);
  } catch (error) {
    const { message, fix } = explain(error);
    if (request.asked.json) program.write(`${JSON.stringify({ error: { message, fix } })}\n`);
    else program.log(`${message} ${fix}`);
    return NOT_DONE;
  }
}

async function carryOut(
  program: InstallProgram,
  machine: Machine,
  asked: InstallOptions,
): Promise<number> {
  const { client, scope, name } = asked;
  const place = { ...machine, cwd: program.cwd, env: program.env };
  const path = client.files[scope]?.(place) ?? "";
  const target = await readTarget(path, scope === "project" ? program.cwd : undefined);
  const launch = asked.remove ? undefined : launchFor(asked, machine);
  const edit: Edit = { file: target.file, client, name, launch };
  const before = target.text ?? "";
  const after = client.format === "json" ? editJson(before, edit) : editToml(before, edit);
  const found = {
    ...{ client: client.id, scope, file: target.file },
    change: after === before ? "none" : changeOf(asked, before, edit),
    diff: after === before ? "" : withoutSecrets(diffOf(target, after)),
    notes: notesOf(asked, machine),
  } as const;
  if (!asked.json) program.write(preview(found, path));
  const agreed = found.change !== "none" && !asked.dryRun && (await isAgreed(asked, machine));
  const backup = agreed ? await replaceTarget(target, after) : undefined;
  const report: Report = { ...found, written: agreed, ...(backup === undefined ? {} : { backup }) };
  program.write(asked.json ? `${JSON.stringify(report)}\n` : ending(report, asked));
  return agreed || asked.dryRun || found.change === "none" ? DONE : NOT_DONE;
}

function launchFor({ options, env, local }: InstallOptions, machine: Machine): Launch {
  const { platform, node, program } = machine;
  const started = local
    ? { command: node, args: [program, ...options] }
    : launchOf({ platform, options });
  return { ...started, env };
}

/** Without a terminal nobody can agree but by `--yes`. */
async function isAgreed({ yes, json }: InstallOptions, { ask }: Machine): Promise<boolean> {
  if (yes) return true;
  if (json || ask === undefined) return false;
  return /^\s*y(es)?\s*$/i.test(await ask("Change the file? [y/N] "));
}

/** Whether the entry was there: then taking it out would change the file. */
function changeOf({ remove }: InstallOptions, before: string, edit: Edit): Report["change"] {
  if (remove) return "remove";
  const gone = { ...edit, launch: undefined };
  const without = edit.client.format === "json" ? editJson(before, gone) : editToml(before, gone);
  return without === before ? "add" : "change";
}

function diffOf({ file, text }: Target, after: string): string {
  const from = text === undefined ? "/dev/null" : file;
  return createTwoFilesPatch(from, file, text ?? "", after).replace(/^(Index: .*\n)?=+\n/, "");
}

function notesOf({ scope, env, local, remove }: InstallOptions, { platform }: Machine): string[] {
  if (remove || scope === "user") return [];
  const secret = Object.entries(env).find(([name, value]) => looksSecret(name, value))?.[0];
  return [
    ...(secret === undefined
      ? []
      : [`${secret} is now in a file of the project: keep it out of version control.`]),
    ...(platform === "win32" && !local
      ? ["The entry starts npx through cmd, as Windows needs it: it is not for other systems."]
      : []),
    ...(local ? ["The entry names files of this machine: it is not for other people's."] : []),
  ];
}

function preview({ file, diff, notes }: Omit<Report, "written">, path: string): string {
  const link = file === path ? "" : `${path} is ${file}.\n`;
  return link + diff + notes.map((note) => `Note: ${note}\n`).join("");
}

function ending(report: Report, { client, name, remove, dryRun }: InstallOptions): string {
  const { file, backup } = report;
  if (report.change === "none") return `Nothing to change in ${file}.\n`;
  if (dryRun) return `Nothing was changed: this was a dry run.\n`;
  if (!report.written) return `Nothing was changed. Add --yes to change it without being asked.\n`;
  const kept = backup === undefined ? "" : `The old file is ${backup}\n`;
  const did = remove ? "taken out of" : "written to";
  return `"${name}" was ${did} ${file}\n${kept}${remove ? "" : `${client.afterwards}\n`}`;
}

function explain(error: unknown): { message: string; fix: string } {
  if (error instanceof InstallError) return error;
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === undefined) throw error;
  return { message: `The file could not be changed: ${message}.`, fix: "Nothing was written." };
}
