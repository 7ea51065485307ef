import { quote } from "../answers/untrusted.ts";

/** How the owner starts the run again: shown to people, and never ours to run. */
export function ofHint(
  hint: { readonly command: readonly string[]; readonly cwd?: string | undefined } | null,
  max: number,
): { resumeCommand?: string[]; resumeFolder?: string } {
  if (hint === null) return {};
  let left = max;
  const resumeCommand: string[] = [];
  for (const part of hint.command) {
    if (left <= 0) break;
    resumeCommand.push(quote(part, left));
    left -= part.length + 3;
  }
  return {
    resumeCommand,
    ...(hint.cwd === undefined ? {} : { resumeFolder: quote(hint.cwd, max) }),
  };
}
