import { isDeepStrictEqual } from "node:util";
import {
  applyEdits,
  type FormattingOptions,
  type JSONPath,
  modify,
  type ParseError,
  parse,
  printParseErrorCode,
} from "jsonc-parser";
import { type Edit, isMembers, type Members, proveEdit, serversOf, wantedEntry } from "./edit.ts";
import { InstallError } from "./install-error.ts";

/**
 * The JSON text with our entry as it shall be; comments, order and layout stay, and so does the text
 * itself when nothing is to change. Throws InstallError.
 */
export function editJson(text: string, edit: Edit): string {
  const mark = text.startsWith("\uFEFF") ? "\uFEFF" : "";
  const body = text.slice(mark.length);
  if (body.trim() === "") return edit.launch === undefined ? text : mark + fresh(edit);
  const { client, name } = edit;
  const servers = serversOf(read(body, edit), edit);
  const current = servers !== undefined && Object.hasOwn(servers, name) ? servers[name] : undefined;
  const wanted = wantedEntry(current, edit);
  let result = body;
  for (const [path, value] of changes([client.member, name], current, wanted))
    result = applyEdits(result, modify(result, path, value, { formattingOptions: layoutOf(body) }));
  if (result === body) return text;
  proveEdit(read(body, edit), read(result, edit), wanted, edit);
  return mark + result;
}

function fresh(edit: Edit): string {
  const { client, name } = edit;
  const root = { [client.member]: { [name]: wantedEntry(undefined, edit) } };
  return `${JSON.stringify(root, null, 2)}\n`;
}

/** The least that must be written, so that comments inside the entry stay. */
function* changes(
  path: JSONPath,
  current: unknown,
  wanted: unknown,
): Generator<readonly [JSONPath, unknown]> {
  if (isDeepStrictEqual(current, wanted)) return;
  if (!isMembers(current) || !isMembers(wanted)) yield [path, wanted];
  else
    for (const key of Object.keys(wanted))
      yield* changes([...path, key], current[key], wanted[key]);
}

function read(text: string, { file }: Pick<Edit, "file">): Members | unknown {
  const errors: ParseError[] = [];
  const root: unknown = parse(text, errors, { allowTrailingComma: true });
  const [error] = errors;
  if (error === undefined) return root;
  const before = text.slice(0, error.offset).split("\n");
  const place = `line ${before.length}, column ${(before.at(-1)?.length ?? 0) + 1}`;
  throw new InstallError(`${file} is no JSON: ${printParseErrorCode(error.error)} at ${place}.`, {
    fix: "Correct the file, and try again; nothing was changed.",
  });
}

function layoutOf(text: string): FormattingOptions {
  const indent = /^([ \t]+)["/]/m.exec(text)?.[1] ?? "  ";
  const eol = text.includes("\r\n") ? "\r\n" : "\n";
  return { insertSpaces: !indent.includes("\t"), tabSize: indent.length, eol };
}
