import { spawn } from "node:child_process";
import { createRequire } from "node:module";
import { fileURLToPath, pathToFileURL } from "node:url";
import { expect, vi } from "vitest";
import { collect } from "../../cli/test/support/program.ts";

const TSX = pathToFileURL(createRequire(import.meta.url).resolve("tsx")).href;
const MAIN = fileURLToPath(new URL("../../cli/src/main.ts", import.meta.url));

/** What a command of `tidebase` left on the screen, and its exit code. */
export interface Screen {
  readonly code: number | null;
  readonly screen: string;
}

/**
 * Runs `tidebase` on a real terminal, by `script` of util-linux (Debian: bsdutils), with somebody who types
 * each answer once the words before it are on the screen. `shell` is the line of the shell, in which `%`
 * stands for the command; `folder` is where it runs.
 */
export async function atTerminal(
  line: string,
  env: Readonly<Record<string, string>>,
  typed: readonly (readonly [asked: string, answer: string])[] = [],
  { shell = "%", folder }: { shell?: string; folder?: string } = {},
): Promise<Screen> {
  const program = `"$NODE" --import "$TSX" --conditions=tidebase-source "$MAIN" ${line}`;
  const command = shell.replace("%", () => program);
  const { PATH, HOME } = process.env;
  const child = spawn("script", ["--quiet", "--return", "--command", command, "/dev/null"], {
    cwd: folder,
    env: {
      ...{ PATH, HOME, TSX, MAIN, NODE: process.execPath, SHELL: "/bin/sh", TERM: "dumb" },
      ...env,
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
