const CODES = { bold: 1, dim: 2, red: 31, green: 32, yellow: 33, cyan: 36 } as const;
type Style = keyof typeof CODES;

const COLOURS = process.stdout.isTTY === true && process.env["NO_COLOR"] === undefined;
// biome-ignore lint/suspicious/noControlCharactersInRegex: that is how a terminal is told colours
const ESCAPES = /\u001b\[\d+m/g;

/** Text in a style where the output is a terminal that wants colours, else as it is. */
export function paint(style: Style, text: string): string {
  return COLOURS ? `\u001b[${CODES[style]}m${text}\u001b[0m` : text;
}

/** The title of the next part. */
export function heading(number: number, text: string): void {
  console.log(`\n${paint("cyan", String(number))}  ${paint("bold", text)}`);
}

/** Every line of the text, indented. */
export function say(text: string): void {
  for (const line of text.split("\n")) console.log(`   ${line}`.trimEnd());
}

/** One line of a child process, marked with whose it is. */
export function quote(label: string, line: string): void {
  say(`${paint("dim", `${label} │`)} ${line}`);
}

/** A table with its columns as wide as their widest cell. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((_, column) =>
    Math.max(...[head, ...rows].map((row) => visible(row[column] ?? ""))),
  );
  const line = (row: readonly string[]): string =>
    row
      .map((cell, column) => cell + " ".repeat((widths[column] ?? 0) - visible(cell)))
      .join("   ")
      .trimEnd();
  const rule = widths.map((width) => "─".repeat(width)).join("───");
  return [paint("bold", line(head)), rule, ...rows.map(line)].join("\n");
}

/** Columns the text takes on a terminal. */
function visible(text: string): number {
  return text.replace(ESCAPES, "").length;
}
