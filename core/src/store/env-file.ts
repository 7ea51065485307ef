import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import type { Environment } from "./variables.ts";

/**
 * The variable as the project's nearest `.env` sets it, other variables of that file and the
 * environment filled in. The project reaches from `cwd` up to the folder that holds `.git`; without
 * one it is `cwd` alone.
 */
export async function readEnvFile(
  name: string,
  cwd: string,
  env: Environment,
): Promise<string | undefined> {
  for (const folder of projectFolders(resolve(cwd))) {
    const text = await readFile(join(folder, ".env"), "utf8").catch(() => "");
    const variables = parse(text);
    const value = variables.get(name);
    if (value !== undefined) return fillIn(value, new Map([...variables, ...given(env)]));
  }
  return undefined;
}

function projectFolders(cwd: string): string[] {
  const folders = [cwd];
  for (let folder = cwd; !existsSync(join(folder, ".git")); ) {
    const parent = dirname(folder);
    if (parent === folder) return [cwd];
    folders.push(parent);
    folder = parent;
  }
  return folders;
}

function parse(text: string): Map<string, string> {
  const variables = new Map<string, string>();
  for (const line of text.split(/\r?\n/)) {
    const [, name, rest = ""] = /^\s*(?:export\s+)?(\w+)\s*=\s*(.*)$/.exec(line) ?? [];
    const quoted = /^(["'`])(.*?)\1/.exec(rest)?.[2];
    if (name !== undefined) variables.set(name, quoted ?? rest.replace(/\s+#.*$/, "").trim());
  }
  return variables;
}

function given(env: Environment): [string, string][] {
  return Object.entries(env).filter((entry): entry is [string, string] => entry[1] !== undefined);
}

/** One level: a value may name variables, whose values are taken as they are. */
function fillIn(value: string, variables: ReadonlyMap<string, string>): string {
  return value.replace(/\$\{(\w+)\}/g, (whole, name: string) => variables.get(name) ?? whole);
}
