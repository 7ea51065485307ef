/**
 * The first line that `expected` shows and `printed` does not have, in order; undefined when it has all. `…`
 * stands for anything, alone on a line too, and runs of white space for each other.
 */
export function missingLine(expected: string, printed: string): string | undefined {
  const lines = linesOf(printed);
  let from = 0;
  for (const line of linesOf(expected)) {
    if (line === "…") continue;
    const pattern = new RegExp(`^${line.split("…").map(escaped).join(".*")}$`);
    const found = lines.findIndex((candidate, index) => index >= from && pattern.test(candidate));
    if (found === -1) return line;
    from = found + 1;
  }
  return undefined;
}

function linesOf(text: string): string[] {
  const lines = text.split("\n").map((line) => line.trim().replaceAll(/\s+/g, " "));
  return lines.filter((line) => line !== "");
}

const escaped = (text: string): string => text.replaceAll(/[\\^$.*+?()[\]{}|]/g, "\\$&");
