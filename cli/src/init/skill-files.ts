import { createHash } from "node:crypto";
import { readdir, rmdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { Planned, Wish } from "./agents-md.ts";
import { readTextFile, type TextFile } from "./text-file.ts";

/** Where clients look for a project's skills: Claude Code in the first, most others in the second. */
const SKILL_FOLDERS = [".claude/skills/tidebase", ".agents/skills/tidebase"];
/** Beside the skill: what was written, so that an edit of somebody is told from an older version. */
const RECORD = ".tidebase-init.json";

/**
 * What the copies of the skill shall hold. A file that somebody changed, or that was there before, is
 * replaced or taken away only with `force`; files that are not the skill's stay.
 */
export async function planSkill(
  project: string,
  skill: ReadonlyMap<string, string>,
  wish: Wish,
): Promise<Planned[]> {
  const planned: Planned[] = [];
  const seen = new Set<string>();
  for (const folder of SKILL_FOLDERS) {
    const record = await readTextFile(project, `${folder}/${RECORD}`);
    if (seen.has(record.path)) continue; // one is a symbolic link to the other
    seen.add(record.path);
    planned.push(...(await planCopy(project, folder, { skill, record, wish })));
  }
  return planned;
}

interface Copy {
  readonly skill: ReadonlyMap<string, string>;
  readonly record: TextFile;
  readonly wish: Wish;
}

async function planCopy(
  project: string,
  folder: string,
  { skill, record, wish }: Copy,
): Promise<Planned[]> {
  const written = readRecord(record.text);
  const names = [...new Set([...written.keys(), ...(wish.remove ? [] : skill.keys())])].sort();
  const planned: Planned[] = [];
  for (const name of names) {
    const file = await readTextFile(project, `${folder}/${name}`);
    const after = wish.remove ? undefined : skill.get(name);
    planned.push(planFile(file, after, written.get(name), wish));
  }
  const after = wish.remove ? undefined : recordOf(skill);
  return [...planned, { file: record, after }];
}

function planFile(
  file: TextFile,
  after: string | undefined,
  hash: string | undefined,
  { force }: Wish,
): Planned {
  const { text } = file;
  if (text !== undefined && after !== undefined && hashOf(text) === hashOf(after))
    return { file, after: text }; // be it with other line ends
  const ours = text === undefined || hashOf(text) === hash;
  if (ours || force) return { file, after };
  const why = hash === undefined ? "it was there before" : "somebody edited it";
  return { file, after, why };
}

/** Takes away the folders of the skill that are empty now, and those above that held nothing else. */
export async function removeEmptyFolders(
  project: string,
  changed: readonly string[],
): Promise<void> {
  const folders = new Set(changed.map(dirname));
  for (const folder of [...folders].sort((a, b) => b.length - a.length))
    for (let one = folder; one !== "."; one = dirname(one)) {
      const left = await readdir(join(project, one)).catch(() => ["?"]);
      if (left.length > 0) break;
      await rmdir(join(project, one));
    }
}

/** Names within the skill and the hashes of what was written; empty where none is to be read. */
function readRecord(text: string | undefined): Map<string, string> {
  try {
    const { files } = JSON.parse(text ?? "{}") as { files?: Record<string, string> };
    return new Map(Object.entries(files ?? {}).filter(([name]) => isWithin(name)));
  } catch {
    return new Map();
  }
}

/** The record is a file like any other: what it names must stay within the folder. */
function isWithin(name: string): boolean {
  return /^[\w.-]+(\/[\w.-]+)*$/.test(name) && !/(^|\/)\.\.?(\/|$)/.test(name);
}

function recordOf(skill: ReadonlyMap<string, string>): string {
  const files = Object.fromEntries([...skill].map(([name, text]) => [name, hashOf(text)]));
  const about = "Written by `npx tidebase init`, which keeps these files up to date.";
  return `${JSON.stringify({ about, files }, null, 2)}\n`;
}

/** The same for both kinds of line ends: version control may turn them. */
function hashOf(text: string): string {
  return createHash("sha256").update(text.replaceAll("\r\n", "\n")).digest("hex").slice(0, 16);
}
