import { constants, type Stats } from "node:fs";
import {
  access,
  chown,
  copyFile,
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
import { InstallError } from "./install-error.ts";

/** A client's file as it is now. */
export interface Target {
  /** The file itself, behind any symbolic links. */
  readonly file: string;
  /** What it says; undefined when it is not there. */
  readonly text: string | undefined;
  readonly stats: Stats | undefined;
  /** Of a file that is new. */
  readonly mode: number;
}

/**
 * Looks at the file, following symbolic links: people keep their settings elsewhere. A project's file
 * must be inside the project (`within`): a foreign repository may not point us at the user's own files.
 * Throws InstallError for what cannot or must not be replaced.
 */
export async function readTarget(path: string, within: string | undefined): Promise<Target> {
  const file = await resolveFile(path);
  if (within !== undefined && !isInside(file, await realpath(within)))
    throw new InstallError(`${path} leads out of the project, to ${file}.`, {
      fix: "Take the symbolic link away, or use --scope user.",
    });
  const mode = within === undefined ? 0o600 : 0o666;
  const stats = await stat(file).catch(() => undefined);
  if (stats === undefined) return { file, mode, stats, text: undefined };
  if (!stats.isFile())
    throw new InstallError(`${file} is no regular file.`, { fix: "Move it away, and try again." });
  await refuseReadOnly(file, stats);
  return { file, mode, stats, text: await readText(file) };
}

/**
 * Puts the text in the place of the file in one act, and keeps the old file beside it; returns that
 * copy's path. Refuses when the file has changed since it was read.
 */
export async function replaceTarget(target: Target, text: string): Promise<string | undefined> {
  const { file, stats } = target;
  await mkdir(dirname(file), { recursive: true });
  const fresh = join(dirname(file), `.${basename(file)}.${process.pid}.tmp`);
  try {
    const handle = await open(fresh, "wx", target.mode);
    try {
      await handle.writeFile(text);
      if (stats !== undefined) await handle.chmod(stats.mode & 0o7777);
      await handle.sync();
    } finally {
      await handle.close();
    }
    if (stats !== undefined) await chown(fresh, stats.uid, stats.gid).catch(() => {}); // root's to do
    if ((await readText(file).catch(ifAbsent)) !== target.text)
      throw new InstallError(`${file} changed while it was looked at.`, {
        fix: "Close the client that writes it, and try again.",
      });
    const backup = await keepOld(target);
    await rename(fresh, file);
    return backup;
  } catch (error) {
    await rm(fresh, { force: true });
    throw error;
  }
}

async function keepOld({ file, text }: Target): Promise<string | undefined> {
  if (text === undefined) return undefined;
  const stamp = new Date().toISOString().replaceAll(/[-:.]/g, "");
  const backup = `${file}.${stamp}.bak`;
  await copyFile(file, backup, constants.COPYFILE_EXCL);
  return backup;
}

/** The path behind every symbolic link, also of a file or folders that are not there yet. */
async function resolveFile(path: string): Promise<string> {
  const found = await realpath(path).catch(ifAbsent);
  if (found !== undefined) return found;
  if ((await lstat(path).catch(() => undefined)) !== undefined)
    throw new InstallError(`${path} is a symbolic link that leads nowhere.`, {
      fix: "Take it away, or make the file it names.",
    });
  const parent = dirname(path);
  if (parent === path) return path;
  return join(await resolveFile(parent), basename(path));
}

async function refuseReadOnly(file: string, { mode }: Stats): Promise<void> {
  const writable = await access(file, constants.W_OK).then(
    () => true,
    () => false,
  );
  const folderWritable = await access(dirname(file), constants.W_OK).then(
    () => true,
    () => false,
  );
  const what =
    !writable || (mode & 0o222) === 0 ? file : folderWritable ? undefined : dirname(file);
  if (what !== undefined)
    throw new InstallError(`${what} is read-only.`, { fix: "Make it writable, and try again." });
}

async function readText(file: string): Promise<string> {
  const bytes = new Uint8Array(await readFile(file));
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    throw new InstallError(`${file} is no UTF-8 text.`, {
      fix: "Save it as UTF-8, and try again; nothing was changed.",
      cause,
    });
  }
}

function ifAbsent(error: NodeJS.ErrnoException): undefined {
  if (error.code === "ENOENT") return undefined;
  throw error;
}

function isInside(file: string, folder: string): boolean {
  const way = relative(folder, file); // absolute: on another drive of Windows
  return way !== "" && way !== ".." && !way.startsWith(`..${sep}`) && !isAbsolute(way);
}
