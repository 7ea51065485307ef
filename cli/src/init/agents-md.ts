import { CommandError } from "../failure.ts";
import { blockOf, isNewer, readBlock, saysBlock, withBlock, withoutBlock } from "./block.ts";
import { type Change, readTextFile, type TextFile } from "./text-file.ts";

const AGENTS = "AGENTS.md";
const CLAUDE = "CLAUDE.md";

/** What is asked of a file. */
export interface Wish {
  readonly remove: boolean;
  readonly force: boolean;
}

/** A change that needs --force: it would lose what somebody wrote. */
interface Held extends Change {
  readonly why: string;
}

/** A file that is looked after: what shall become of it. */
export type Planned = (Change & { readonly why?: undefined }) | Held;

/**
 * What AGENTS.md and CLAUDE.md shall say. Every one that exists gets the block, unless it sends its reader
 * to the other one; AGENTS.md is made when there is none. Throws CommandError `block_broken`.
 */
export async function planAgentFiles(
  project: string,
  snippet: string,
  wish: Wish,
): Promise<Planned[]> {
  const files = await Promise.all([AGENTS, CLAUDE].map((name) => readTextFile(project, name)));
  const [agents, claude] = files as [TextFile, TextFile];
  const distinct = agents.path === claude.path ? [agents] : files;
  return distinct
    .filter((file) => isMeant(file, file === agents ? claude : agents))
    .map((file) => planFile(file, snippet, wish));
}

/** A file with a block is always looked after, so that none is left behind with an old one. */
function isMeant({ name, text, path }: TextFile, other: TextFile): boolean {
  if (text !== undefined && readBlock(text).kind !== "none") return true;
  if (name === AGENTS) return text !== undefined || !standsAlone(other) || other.path === path;
  return text !== undefined && !sendsTo(text, AGENTS);
}

/** CLAUDE.md is there and says things of its own: no AGENTS.md is needed. */
function standsAlone({ text }: TextFile): boolean {
  return text !== undefined && !sendsTo(text, AGENTS);
}

/** Imports the other file, or says nothing but where to look. */
function sendsTo(text: string, other: string): boolean {
  const lines = text.replace(/^\uFEFF/, "").split(/\r?\n/);
  const name = other.replace(".", "\\.");
  if (lines.some((line) => new RegExp(`(^|\\s)@(\\./)?${name}(\\s|$)`).test(line))) return true;
  const said = lines.filter((line) => line.trim() !== "" && !/^\s*(#|<!--)/.test(line));
  return said.length > 0 && said.every((line) => line.includes(other));
}

function planFile(file: TextFile, snippet: string, { remove, force }: Wish): Planned {
  const { name, text } = file;
  if (text === undefined) return { file, after: remove ? undefined : blockOf(snippet) };
  const reading = readBlock(text);
  if (reading.kind === "broken") throw broken(name, reading.why);
  if (reading.kind === "none")
    return { file, after: remove ? text : withBlock(text, reading, snippet) };
  if (!remove && saysBlock(reading, snippet)) return { file, after: text };
  const rest = withoutBlock(text, reading);
  const made = rest === "" && reading.start === 0; // where the file was there, a line end stands before
  const after = remove ? (made ? undefined : rest) : withBlock(text, reading, snippet);
  if (force) return { file, after };
  if (reading.edited) return { file, after, why: "somebody edited the block" };
  if (isNewer(reading) && !remove) return { file, after, why: "a newer Tidebase wrote the block" };
  return { file, after };
}

function broken(name: string, why: string): CommandError {
  return new CommandError("block_broken", {
    message: `${name}: ${why}. Nothing was changed.`,
    fix: "Put the marks right, or take what is left of the block away by hand; then run the command again.",
  });
}
