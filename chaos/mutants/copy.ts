import { execFile } from "node:child_process";
import { copyFile, mkdir, readdir, readFile, symlink, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { type Edit, edited } from "./edit.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
/** Our own rooms, as the root's package.json names them, by the packages that are linked to them. */
const ROOMS = { core: "core", server: "http-server", mcp: "mcp-server", sdk: "sdk" };
const MIB = 1_048_576;

/**
 * Copies the repository, as far as git knows it or would, into the folder. Packages of others are linked, ours are those
 * of the copy: what is changed there is what runs there, and nothing that runs there reaches this repository's sources.
 */
export async function copyTree(folder: string): Promise<void> {
  const listed = await promisify(execFile)(
    "git",
    ["ls-files", "-z", "--cached", "--others", "--exclude-standard"],
    { cwd: ROOT, maxBuffer: 64 * MIB },
  );
  const files = listed.stdout.split("\0").filter((file) => file !== "");
  for (const place of new Set(files.map(dirname)))
    await mkdir(join(folder, place), { recursive: true });
  for (const file of files) await copyOne(file, folder);
  await linkPackages(folder);
}

/** Makes the edits in a copy. Throws where one does not fit the code any more. */
export async function change(folder: string, edits: readonly Edit[]): Promise<void> {
  for (const edit of edits) {
    const file = join(folder, edit.file);
    await writeFile(file, edited(await readFile(file, "utf8"), edit));
  }
}

async function copyOne(file: string, folder: string): Promise<void> {
  try {
    await copyFile(join(ROOT, file), join(folder, file));
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== "ENOENT") throw error; // deleted, and not yet committed
  }
}

/** A folder of links, but for our own packages: those are found in the copy. */
async function linkPackages(folder: string): Promise<void> {
  const [from, to] = [join(ROOT, "node_modules"), join(folder, "node_modules")];
  await mkdir(join(to, "@tidebase"), { recursive: true });
  for (const name of await readdir(from))
    if (name !== "@tidebase" && name !== "tidebase" && !name.startsWith(".vite"))
      await symlink(join(from, name), join(to, name));
  for (const [name, room] of Object.entries(ROOMS))
    await symlink(join("..", "..", room), join(to, "@tidebase", name));
  await symlink(join("..", "cli"), join(to, "tidebase"));
}
