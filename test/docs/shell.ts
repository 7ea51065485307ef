import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";

const LINE_MS = 120_000;

/** What a line printed on both streams, and how it ended. */
export interface Printed {
  readonly code: number;
  readonly output: string;
}

/** One shell for a whole page: variables, exports and the folder last from line to line. */
export interface Shell {
  run(line: string): Promise<Printed>;
  /** The same on a terminal (`script` of util-linux; Debian: bsdutils), at which somebody types this. */
  type(line: string, typed: string): Promise<Printed>;
  /** Starts what stays until `end`; what it has printed by the time of asking. */
  background(line: string): Promise<() => Promise<string>>;
  /** Ends the shell and all that it started, and waits until they are gone. */
  end(): Promise<void>;
}

/** Opens one in the folder, with these variables and no others. */
export async function openShell(folder: string, env: NodeJS.ProcessEnv): Promise<Shell> {
  const outputs = await mkdtemp(join(tmpdir(), "tidebase-docs-output-"));
  // A process group of its own, so that nothing it starts outlives it.
  const shell = spawn("sh", [], { cwd: folder, env, detached: true });
  shell.stdin.on("error", () => {}); // it may have ended: `run` says so
  shell.stderr.resume();
  const answers = answersOf(shell);
  shell.stdin.write("set -a\n"); // what a line sets is there for the shell of a terminal, too
  let count = 0;
  async function send(line: string, after: string): Promise<{ code: number; file: string }> {
    const file = join(outputs, `${count++}`);
    shell.stdin.write(
      `{ ${line}\n} </dev/null >'${file}' 2>&1 ${after}\nprintf 'ended %d\\n' $?\n`,
    );
    return { code: await answers(line), file };
  }
  return {
    run: async (line) => {
      const { code, file } = await send(line, "");
      return { code, output: await readFile(file, "utf8") };
    },
    type: async (line, typed) => {
      const command = `script --quiet --return --command '${line.replaceAll("'", "'\\''")}' /dev/null`;
      const { code, file } = await send(`printf '${typed}\\r' | ${command}`, "");
      return { code, output: (await readFile(file, "utf8")).replaceAll("\r", "") };
    },
    background: async (line) => {
      const { file } = await send(line, "&");
      return () => readFile(file, "utf8").catch(() => "");
    },
    end: async () => {
      await endGroup(shell);
      await rm(outputs, { recursive: true, force: true });
    },
  };
}

/** The exit code of the line last sent. */
function answersOf(shell: ChildProcess): (line: string) => Promise<number> {
  let printed = "";
  let wake = () => {};
  shell.stdout?.on("data", (chunk: Buffer) => {
    printed += chunk.toString();
    wake();
  });
  shell.once("close", () => wake());
  return async (line) => {
    const until = Date.now() + LINE_MS;
    for (;;) {
      const found = /^ended (\d+)\n/.exec(printed);
      if (found !== null) {
        printed = printed.slice(found[0].length);
        return Number(found[1]);
      }
      if (shell.exitCode !== null || shell.signalCode !== null)
        throw new Error(`The shell ended at: ${line}`);
      if (Date.now() > until) throw new Error(`Not done after ${LINE_MS / 1000} s: ${line}`);
      await new Promise<void>((resolve) => {
        wake = resolve;
        setTimeout(resolve, 1_000).unref();
      });
    }
  };
}

async function endGroup(shell: ChildProcess): Promise<void> {
  const group = -(shell.pid ?? 0);
  if (group === 0) return;
  const isOver = shell.exitCode !== null || shell.signalCode !== null ? null : once(shell, "exit");
  signal(group, "SIGTERM");
  shell.kill("SIGKILL"); // an idle shell takes no notice of SIGTERM on every system
  await isOver;
  const patience = Date.now() + 15_000;
  while (signal(group, 0)) {
    if (Date.now() > patience) signal(group, "SIGKILL");
    await pause(20);
  }
}

/** Whether there was anybody to take it. */
function signal(group: number, name: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(group, name);
  } catch {
    return false;
  }
}
