import { parse, stringify, TomlError } from "smol-toml";
import { type Edit, type Members, proveEdit, saysTheSame, serversOf, wantedEntry } from "./edit.ts";
import { InstallError } from "./install-error.ts";

/**
 * The TOML text with our entry as it shall be. Only our own block is written, between two marks; a
 * table that somebody else wrote under that name is left alone. Throws InstallError.
 */
export function editToml(text: string, edit: Edit): string {
  const { file, client, name } = edit;
  const servers = serversOf(read(text, edit), edit);
  const current = servers !== undefined && Object.hasOwn(servers, name) ? servers[name] : undefined;
  const wanted = wantedEntry(current, edit);
  if (saysTheSame(current, wanted)) return text;
  const block = findBlock(text, edit);
  if (current !== undefined && block === undefined)
    throw new InstallError(
      `[${client.member}.${name}] in ${file} was not written by this program.`,
      {
        fix: `Change it by hand (\`codex mcp remove ${name}\` takes it out), or give --name another name.`,
      },
    );
  const eol = text.includes("\r\n") ? "\r\n" : "\n";
  const written = wanted === undefined ? "" : blockOf(wanted, edit).replaceAll("\n", eol);
  const result =
    block === undefined
      ? append(text, written, eol)
      : text.slice(0, block.start) + written + text.slice(block.end);
  proveEdit(read(text, edit), read(result, edit), wanted, edit);
  return result;
}

function marksOf({ name }: Edit): { begin: string; end: string } {
  const begin = `# >>> ${name}: written by tidebase-mcp install, which rewrites it whole`;
  return { begin, end: `# <<< ${name}` };
}

function blockOf(wanted: unknown, edit: Edit): string {
  const { begin, end } = marksOf(edit);
  const table = stringify({ [edit.client.member]: { [edit.name]: wanted } });
  return `${begin}\n${table.trim()}\n${end}\n`;
}

/** Where our block begins and ends, its last line end included. Throws when only one mark is there. */
function findBlock(text: string, edit: Edit): { start: number; end: number } | undefined {
  const marks = marksOf(edit);
  const first = lineStart(text, marks.begin, 0);
  const last = lineStart(text, marks.end, Math.max(first, 0));
  if (first === -1 && last === -1) return undefined;
  if (first === -1 || last === -1)
    throw new InstallError(`${edit.file} holds only one of the two marks around "${edit.name}".`, {
      fix: `Put "${marks.begin}" before and "${marks.end}" after the table, or take both away.`,
    });
  const lineEnd = text.indexOf("\n", last);
  return { start: first, end: lineEnd === -1 ? text.length : lineEnd + 1 };
}

/** Where the line that says just this begins; -1 when there is none. */
function lineStart(text: string, line: string, from: number): number {
  let at = text.indexOf(line, from);
  while (at !== -1) {
    const alone = /^\r?(\n|$)/.test(text.slice(at + line.length, at + line.length + 2));
    if (alone && (at === 0 || text[at - 1] === "\n")) return at;
    at = text.indexOf(line, at + 1);
  }
  return -1;
}

function append(text: string, block: string, eol: string): string {
  if (text.trim() === "") return text + block;
  const gap = text.endsWith(eol + eol) ? "" : text.endsWith("\n") ? eol : eol + eol;
  return text + gap + block;
}

function read(text: string, { file }: Edit): Members {
  try {
    return parse(text.replace(/^\uFEFF/, ""), { integersAsBigInt: "asNeeded" });
  } catch (error) {
    if (!(error instanceof TomlError)) throw error;
    throw new InstallError(
      `${file} is no TOML: ${error.message.split("\n", 1)[0]} at line ${error.line}, column ${error.column}.`,
      { fix: "Correct the file, and try again; nothing was changed.", cause: error },
    );
  }
}
