import { homedir } from "node:os";
import { createInterface } from "node:readline/promises";
import type { Place } from "./clients.ts";

/** What `install` knows of the machine besides the environment and the folder. */
export interface Machine extends Pick<Place, "platform" | "home"> {
  /** Node, and the file it runs: what `--local` writes. */
  readonly node: string;
  readonly program: string;
  /** Asks a person; undefined where none sits at a terminal. */
  readonly ask: ((question: string) => Promise<string>) | undefined;
}

/** The machine this process runs on. */
export function thisMachine(): Machine {
  const { stdin, stderr, platform, execPath, argv } = process;
  const ask = async (question: string): Promise<string> => {
    const lines = createInterface({ input: stdin, output: stderr });
    try {
      return await new Promise<string>((resolve, reject) => {
        lines.once("close", () => resolve("")); // the end of the input is no
        lines.question(question).then(resolve, reject);
      });
    } finally {
      lines.close();
    }
  };
  const someone = stdin.isTTY === true && stderr.isTTY === true;
  const place = { platform, home: homedir(), node: execPath, program: argv[1] ?? "" };
  return { ...place, ask: someone ? ask : undefined };
}
