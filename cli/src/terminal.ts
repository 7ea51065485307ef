import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";

/** Where the program's words go, and who may be asked. */
export interface Terminal {
  readonly input: Readable;
  /** Standard output is a screen, not a file or another program. */
  readonly screen: boolean;
  readonly colour: boolean;
  /** Somebody sits in front of it and can be asked. */
  readonly interactive: boolean;
  /** To standard output. Throws OutputClosed when its reader is gone. */
  out(text: string): Promise<void>;
  /** A line to standard error. */
  note(line: string): void;
  /** The line that is typed after the question, or was typed ahead of it; empty when there is none. */
  ask(question: string): Promise<string>;
}

/** Nobody reads standard output any more, as after `| head`. */
export class OutputClosed extends Error {
  override readonly name = "OutputClosed";
}

interface Streams {
  readonly stdin: Readable & { isTTY?: boolean };
  readonly stdout: Writable & { isTTY?: boolean };
  readonly stderr: Writable & { isTTY?: boolean };
}

/** The terminal over a process's streams. */
export function openTerminal(
  { stdin, stdout, stderr }: Streams,
  env: Readonly<Record<string, string | undefined>>,
): Terminal {
  // Told by the write itself; without these a closed pipe would end the program in the middle.
  stdout.on("error", () => {});
  stderr.on("error", () => {});
  const screen = stdout.isTTY === true;
  const typed: string[] = []; // a chunk may hold the lines of several questions
  async function readLine(question: string): Promise<void> {
    if (stdin.readableEnded) return;
    const lines = createInterface({ input: stdin, output: stderr });
    lines.on("line", (line) => typed.push(line));
    lines.setPrompt(question);
    lines.prompt();
    await new Promise((resolve) => lines.once("line", resolve).once("close", resolve));
    lines.close();
  }
  return {
    input: stdin,
    screen,
    colour: screen && !env["NO_COLOR"] && env["TERM"] !== "dumb",
    interactive: stdin.isTTY === true && stderr.isTTY === true,
    out: (text) =>
      new Promise((resolve, reject) => {
        stdout.write(text, (cause) => {
          if (cause) reject(new OutputClosed("Standard output was closed.", { cause }));
          else resolve();
        });
      }),
    note: (line) => {
      stderr.write(`${line}\n`);
    },
    async ask(question) {
      if (typed.length === 0) await readLine(question);
      else stderr.write(`${question}\n`);
      return (typed.shift() ?? "").trim();
    },
  };
}
