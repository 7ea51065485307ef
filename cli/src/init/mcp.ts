import { spawn } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { text } from "node:stream/consumers";
import { pathToFileURL } from "node:url";
import type { Cli } from "../cli.ts";
import { CommandError } from "../failure.ts";

const PACKAGE = "@tidebase/mcp";

/** The clients that the installer knows: a wrong name is refused before anything is written. */
export const MCP_CLIENTS: readonly string[] = [
  "claude-code",
  "cursor",
  "vscode",
  "codex",
  "claude-desktop",
  "gemini-cli",
  "windsurf",
];

/** How the installer of the MCP server ended, and what it said. */
export interface Installed {
  readonly client: string;
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * Has `tidebase-mcp install` put the server into a client's configuration, or take it out: it is a program
 * of its own, beside this one, of the project, or else from npm. It is told not to ask: who names a client
 * wants its file changed, and the old file is kept. Throws CommandError `program_missing`.
 */
export async function installMcp(
  { cwd, env, flags }: Cli,
  client: string,
  { remove, dryRun }: { readonly remove: boolean; readonly dryRun: boolean },
): Promise<Installed> {
  const [program, ...args] = findProgram(cwd);
  const asked = ["install", "--client", client, dryRun ? "--dry-run" : "--yes"];
  if (remove) asked.push("--remove");
  if (flags().json === true) asked.push("--json");
  const child = spawn(program, [...args, ...asked], {
    cwd,
    env,
    shell: process.platform === "win32" && args.includes(PACKAGE), // npx is a script there
    stdio: ["ignore", "pipe", "pipe"],
  });
  const ended = new Promise<number>((resolve, reject) => {
    child.once("error", (cause) => reject(missing(program, cause)));
    child.once("close", (code) => resolve(code ?? 1));
  });
  const [exitCode, stdout, stderr] = await Promise.all([
    ended,
    text(child.stdout),
    text(child.stderr),
  ]);
  return { client, exitCode, stdout, stderr };
}

function findProgram(cwd: string): [program: string, ...args: string[]] {
  for (const place of [import.meta.url, pathToFileURL(join(cwd, "package.json")).href]) {
    const main = mainOf(place);
    if (main !== undefined) return [process.execPath, main];
  }
  return ["npx", "-y", PACKAGE];
}

/** The file that the package's `tidebase-mcp` is, seen from a place; undefined when it is not there. */
function mainOf(place: string): string | undefined {
  try {
    const manifest = createRequire(place).resolve(`${PACKAGE}/package.json`);
    const { bin } = JSON.parse(readFileSync(manifest, "utf8")) as { bin: Record<string, string> };
    const main = join(dirname(manifest), bin["tidebase-mcp"] ?? "");
    return existsSync(main) ? main : undefined;
  } catch {
    return undefined;
  }
}

function missing(program: string, cause: unknown): CommandError {
  return new CommandError("program_missing", {
    message: `${program} cannot be started.`,
    fix: `Install ${PACKAGE} in the project, and run the command again.`,
    cause,
  });
}
