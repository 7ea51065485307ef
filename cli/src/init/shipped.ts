import { readdir, readFile } from "node:fs/promises";
import { join, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { CommandError } from "../failure.ts";

/** The repository and the packed package, seen alike from src/init/ and dist/init/. */
const PLACES = ["../../../", "../../"];

/** What the block says; it ends with a line end. Throws CommandError `package_incomplete`. */
export async function shippedSnippet(): Promise<string> {
  for (const place of PLACES) {
    const path = fileURLToPath(new URL(`${place}templates/agents-md-snippet.md`, import.meta.url));
    const text = await readFile(path, "utf8").catch(() => undefined);
    if (text !== undefined) return text.replaceAll("\r\n", "\n");
  }
  throw incomplete("The text for AGENTS.md");
}

/** The files of the skill by their names within it, in order. Throws CommandError `package_incomplete`. */
export async function shippedSkill(): Promise<ReadonlyMap<string, string>> {
  for (const place of PLACES) {
    const folder = fileURLToPath(new URL(`${place}skills/tidebase/`, import.meta.url));
    const entries = await readdir(folder, { recursive: true }).catch((): string[] => []);
    if (!entries.includes("SKILL.md")) continue;
    const read = entries.sort().map(async (entry) => {
      const text = await readFile(join(folder, entry), "utf8").catch(ifFolder);
      return [entry.split(sep).join("/"), text] as const;
    });
    return new Map((await Promise.all(read)).filter(isText));
  }
  throw incomplete("The skill");
}

function ifFolder(error: NodeJS.ErrnoException): undefined {
  if (error.code === "EISDIR") return undefined;
  throw error;
}

function isText(entry: readonly [string, string | undefined]): entry is readonly [string, string] {
  return entry[1] !== undefined;
}

function incomplete(what: string): CommandError {
  return new CommandError("package_incomplete", {
    message: `${what} is not where this program looks for it.`,
    fix: "Install Tidebase again; its package is incomplete.",
  });
}
