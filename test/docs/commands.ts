import { runInside } from "../../cli/test/support/program.ts";
import { type Page, ROOT } from "./pages.ts";
import { faults, shellLines, spansOf } from "./said.ts";

/** A command of `tidebase`, as its help tells. */
export interface Command {
  readonly flags: ReadonlySet<string>;
  /** Those that the next word belongs to. */
  readonly valued: ReadonlySet<string>;
  readonly commands: ReadonlyMap<string, Command>;
}

/** The whole tree of `tidebase`, asked of the program itself. */
export async function commandTree(path: readonly string[] = []): Promise<Command> {
  const { stdout } = await runInside(ROOT, [...path, "--help"]);
  const names = [...(stdout.split(/^Commands:$/m)[1] ?? "").matchAll(/^ {2}([a-z][a-z-]*)\b/gm)];
  const commands = new Map<string, Command>();
  for (const [, name = ""] of names)
    if (name !== "help") commands.set(name, await commandTree([...path, name]));
  const setOf = (pattern: RegExp) =>
    new Set([...stdout.matchAll(pattern)].map(([, flag = ""]) => flag));
  const flags = setOf(/^ {2}(?:-\w, )?(--[a-z][a-z-]*)/gm);
  return { flags, valued: setOf(/^ {2}(?:-\w, )?(--[a-z][a-z-]*) </gm), commands };
}

/** The commands without others below them: `runs list`. */
export function leavesOf({ commands }: Command, path: readonly string[] = []): string[] {
  if (commands.size === 0) return [path.join(" ")];
  return [...commands].flatMap(([name, command]) => leavesOf(command, [...path, name]));
}

/** Commands and flags of `tidebase` that it does not have. */
export function commandFaults(page: Page, tree: Command): string[] {
  const spans = spansOf(page).filter(({ text }) => /^(npx (-y )?)?tidebase [a-z-]/.test(text));
  return faults(page, [...spans, ...shellLines(page)], (text) => {
    const calls = text.matchAll(
      /(?:^|\bnpx (?:-y |--yes )?|\$\(|(?:&&|\|\||;|\|) )tidebase ((?:"[^"]*"|'[^']*'|\\\n|[^|;&)'"#\n]|\|(?=[a-z]))*)/g,
    );
    return [...calls].flatMap(([, words = ""]) => callFaults(words, tree));
  });
}

function callFaults(text: string, tree: Command): string[] {
  const words = text.match(/(?:"[^"]*"|'[^']*'|[^\s"'])+/g) ?? [];
  let command = tree;
  const found: string[] = [];
  let isValue = false;
  for (const word of words) {
    if (word === "--") break;
    const isOfFlag = isValue;
    isValue = command.valued.has(word);
    if (isOfFlag) continue;
    const flag = /^(--[a-z][a-z-]*)/.exec(word)?.[1];
    if (flag !== undefined && !command.flags.has(flag) && flag !== "--help")
      found.push(`\`tidebase ${text.trim()}\`: there is no ${flag}.`);
    if (word.startsWith("-") || command.commands.size === 0) continue;
    const names = word.split("|");
    const next = command.commands.get(names[0] ?? "");
    if (names.some((name) => /^[a-z-]+$/.test(name) && !command.commands.has(name)))
      found.push(`\`tidebase ${text.trim()}\`: there is no command ${word}.`);
    if (next === undefined) break;
    command = next;
  }
  return found;
}
