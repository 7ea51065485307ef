import { basename } from "node:path";

/** A command line and where it was started. */
export interface ResumeHint {
  readonly command: readonly string[];
  readonly cwd: string;
}

/** Names of options whose values are kept to this process. */
const SECRET = /key|token|secret|passw|pwd|credential|auth/i;
const LONGEST_ARGUMENT = 4000;
const MOST_ARGUMENTS = 100;

/**
 * How this process was started, for whoever has to start it again: command line and working
 * directory, never the environment. The value after an option whose name looks like a secret's
 * (`--token x`, `--api-key=x`) and the password of an address are replaced by `…`.
 */
export function resumeHint(
  started: { execPath: string; execArgv: readonly string[]; argv: readonly string[] } = process,
): ResumeHint {
  const program = basename(started.execPath);
  const words = [...started.execArgv, ...started.argv.slice(1)];
  const command = [program, ...withoutSecrets(words)].slice(0, MOST_ARGUMENTS);
  return {
    command: command.map((word) => word.slice(0, LONGEST_ARGUMENT)),
    cwd: process.cwd().slice(0, LONGEST_ARGUMENT),
  };
}

function withoutSecrets(words: readonly string[]): string[] {
  return words.map((word, index) => {
    const before = words[index - 1] ?? "";
    if (isOption(before) && !before.includes("=") && SECRET.test(before) && !isOption(word))
      return "…";
    const assigned = /^(-{0,2}[\w.-]+=)/.exec(word)?.[1];
    if (assigned !== undefined && SECRET.test(assigned)) return `${assigned}…`;
    return word.replace(/(\w+:\/\/[^:/@\s]*):[^@/\s]+@/g, "$1:…@");
  });
}

function isOption(word: string): boolean {
  return word.startsWith("-");
}
