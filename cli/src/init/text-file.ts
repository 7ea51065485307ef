import { randomUUID } from "node:crypto";
import { constants, type Stats } from "node:fs";
import {
  access,
  chown,
  lstat,
  mkdir,
  open,
  readFile,
  realpath,
  rename,
  rm,
  stat,
} from "node:fs/promises";
import { basename, dirname, isAbsolute, join, relative, sep } from "node:path";
import { CommandError } from "../failure.ts";

/** A file of the project as it is now. */
export interface TextFile {
  /** As the project calls it: relative, with `/`. */
  readonly name: string;
  /** Itself, behind every symbolic link. */
  readonly path: string;
  /** Undefined when it is not there. */
  readonly text: string | undefined;
  readonly stats: Stats | undefined;
}

/** A file and what it shall say; `after` is undefined where it shall be gone. */
export interface Change {
  readonly file: TextFile;
  readonly after: string | undefined;
}

/**
 * Reads a file of the project, following symbolic links that stay inside of it. Throws CommandError
 * `file_refused` for what is not a text that may be replaced.
 */
export async function readTextFile(project: string, name: string): Promise<TextFile> {
  const root = await realpath(project);
  const wanted = join(root, name);
  const path = await resolvePath(wanted);
  if (!isInside(path, root))
    throw refused(`${name} leads out of the project, to ${path}.`, "Take the symbolic link away.");
  const stats = await stat(path).catch(ifAbsent);
  if (stats === undefined) return { name, path, text: undefined, stats };
  if (!stats.isFile()) throw refused(`${name} is no regular file.`, "Move it away.");
  return { name, path, text: decode(name, await readBytes(path)), stats };
}

/** Throws CommandError `file_read_only` or `file_refused` where the change could not be written. */
export async function checkWritable({ file: { name, path, stats } }: Change): Promise<void> {
  const readOnly = stats === undefined ? false : (stats.mode & 0o222) === 0 || !(await may(path));
  const folder = await nearest(dirname(path));
  if (!(await stat(folder)).isDirectory())
    throw refused(`${folder} is no folder.`, "Move it away.");
  const what = readOnly ? name : (await may(folder)) ? undefined : folder;
  if (what === undefined) return;
  throw new CommandError("file_read_only", {
    message: `${what} is read-only; nothing was changed.`,
    fix: "Make it writable, and run the command again.",
  });
}

/**
 * Puts the text in the place of the file in one act, with the file's mode and owner. Throws CommandError
 * `file_changed` when it is not as it was read any more, nor as it shall be.
 */
export async function applyChange({ file, after }: Change): Promise<void> {
  const { path, name, text, stats } = file;
  const bytes = await readBytes(path).catch(ifAbsent);
  const now = bytes === undefined ? undefined : decode(name, bytes);
  if (now === after) return; // another one of us was here
  if (now !== text)
    throw new CommandError("file_changed", {
      message: `${name} changed while it was looked at.`,
      fix: "Run the command again.",
    });
  if (after === undefined) return await rm(path);
  await mkdir(dirname(path), { recursive: true });
  const fresh = join(dirname(path), `.${basename(path)}.${randomUUID().slice(0, 8)}.tmp`);
  try {
    const handle = await open(fresh, "wx", 0o666);
    try {
      await handle.writeFile(after);
      if (stats !== undefined) await handle.chmod(stats.mode & 0o7777);
      await handle.sync();
    } finally {
      await handle.close();
    }
    if (stats !== undefined) await chown(fresh, stats.uid, stats.gid).catch(() => {}); // root's to do
    await rename(fresh, path);
  } catch (error) {
    await rm(fresh, { force: true });
    throw error;
  }
}

/** The path behind every symbolic link, also of what is not there yet. */
async function resolvePath(path: string): Promise<string> {
  const parent = dirname(path);
  const found = await realpath(path).catch(async (error: NodeJS.ErrnoException) => {
    if (error.code !== "ELOOP") return ifAbsent(error);
    await resolvePath(parent); // says so itself where the circle is further up
    throw refused(`${path} is a symbolic link that leads in a circle.`, "Take it away.");
  });
  if (found !== undefined) return found;
  const link = await lstat(path).catch(ifAbsent);
  if (link === undefined)
    return parent === path ? path : join(await resolvePath(parent), basename(path));
  if (!link.isSymbolicLink()) return await resolvePath(path); // made in between
  return await realpath(path).catch((error: NodeJS.ErrnoException) => {
    ifAbsent(error);
    throw refused(`${path} is a symbolic link that leads nowhere.`, "Take it away.");
  });
}

/** The path itself, or what is there of those above it. */
async function nearest(path: string): Promise<string> {
  const found = await stat(path).catch(ifAbsent);
  return found !== undefined || dirname(path) === path ? path : await nearest(dirname(path));
}

async function may(path: string): Promise<boolean> {
  return await access(path, constants.W_OK).then(
    () => true,
    () => false,
  );
}

async function readBytes(path: string): Promise<Uint8Array> {
  return new Uint8Array(await readFile(path));
}

function decode(name: string, bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    const error = refused(`${name} is no UTF-8 text.`, "Save it as UTF-8.");
    throw Object.assign(error, { cause });
  }
}

function refused(message: string, fix: string): CommandError {
  return new CommandError("file_refused", {
    message: `${message} Nothing was changed.`,
    fix: `${fix} Then run the command again.`,
  });
}

function ifAbsent(error: NodeJS.ErrnoException): undefined {
  if (error.code === "ENOENT" || error.code === "ENOTDIR") return undefined;
  throw error;
}

function isInside(path: string, folder: string): boolean {
  const way = relative(folder, path); // absolute: on another drive of Windows
  return way !== "" && way !== ".." && !way.startsWith(`..${sep}`) && !isAbsolute(way);
}
