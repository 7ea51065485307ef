import { createHash } from "node:crypto";
import { lstat, rmdir, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import type { Planned, Wish } from "./agents-md.ts";
import { type Change, readTextFile, type TextFile } from "./text-file.ts";

/** Where clients look for a project's skills: Claude Code in the first, most others in the second. */
const SKILL_FOLDERS = [".claude/skills/tidebase", ".agents/skills/tidebase"];
/** Beside the skill: what was written and which folders were made, so that only that is taken away. */
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
  const { written, made } = readRecord(record.text);
  const names = [...new Set([...written.keys(), ...(wish.remove ? [] : skill.keys())])].sort();
  const planned: Planned[] = [];
  for (const name of names) {
    const file = await readTextFile(project, `${folder}/${name}`);
    const after = wish.remove ? undefined : skill.get(name);
    planned.push(planFile(file, after, written.get(name), wish));
  }
  if (wish.remove) return [...planned, { file: record, after: undefined }];
  const absent = await absentFolders(project, [record, ...planned.map(({ file }) => file)]);
  const after = recordOf(skill, [...new Set([...made, ...absent])].sort());
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

/** The folders that are to be made for the files, as the project calls them. */
async function absentFolders(project: string, files: readonly TextFile[]): Promise<string[]> {
  const folders = [...new Set(files.flatMap(({ name }) => foldersAbove(name)))];
  const looked = folders.map(async (folder) => {
    const isThere = await stat(join(project, folder)).catch(() => undefined);
    return isThere === undefined ? [folder] : [];
  });
  return (await Promise.all(looked)).flat();
}

/** Takes away the folders that were made for the skill and are empty now; the user's own stay. */
export async function removeEmptyFolders(
  project: string,
  changes: readonly Change[],
): Promise<void> {
  const names = changes.map(({ file }) => file.name);
  const made = changes
    .filter(({ file }) => basename(file.name) === RECORD)
    .flatMap(({ file }) => readRecord(file.text).made);
  const folders = [...new Set(names.flatMap(foldersAbove))].filter((one) => made.includes(one));
  for (const folder of folders.sort((a, b) => b.length - a.length)) {
    const path = join(project, folder);
    const isFolder = await lstat(path).then((found) => found.isDirectory(), never);
    if (isFolder) await rmdir(path).catch(never); // it holds something of the user's
  }
}

function never(): false {
  return false;
}

/** From the innermost on. */
function foldersAbove(name: string): string[] {
  const folder = dirname(name);
  return folder === "." ? [] : [folder, ...foldersAbove(folder)];
}

interface Recorded {
  /** Names within the skill and the hashes of what was written. */
  readonly written: ReadonlyMap<string, string>;
  /** The folders that were not there before, as the project calls them. */
  readonly made: readonly string[];
}

/** Empty where none is to be read. */
function readRecord(text: string | undefined): Recorded {
  try {
    const { files, folders } = JSON.parse(text ?? "{}") as {
      files?: Record<string, string>;
      folders?: unknown;
    };
    const written = Object.entries(files ?? {}).filter(([name]) => isWithin(name));
    const made = Array.isArray(folders) ? folders.filter((one) => typeof one === "string") : [];
    return { written: new Map(written), made };
  } catch {
    return { written: new Map(), made: [] };
  }
}

/** The record is a file like any other: what it names must stay within the folder. */
function isWithin(name: string): boolean {
  return /^[\w.-]+(\/[\w.-]+)*$/.test(name) && !/(^|\/)\.\.?(\/|$)/.test(name);
}

function recordOf(skill: ReadonlyMap<string, string>, folders: readonly string[]): string {
  const files = Object.fromEntries([...skill].map(([name, text]) => [name, hashOf(text)]));
  const about = "Written by `npx tidebase init`, which keeps these files up to date.";
  return `${JSON.stringify({ about, folders, files }, null, 2)}\n`;
}

/** The same for both kinds of line ends: version control may turn them. */
function hashOf(text: string): string {
  return createHash("sha256").update(text.replaceAll("\r\n", "\n")).digest("hex").slice(0, 16);
}
