import { readFile, stat } from "node:fs/promises";
import { dirname } from "node:path";

/** The user as whom Postgres runs. */
export interface Owner {
  readonly uid: number;
  readonly gid: number;
}

/**
 * As whom Postgres runs when we are root, which it refuses to be: whoever owns one of the folders
 * already, else `postgres`, else `nobody`. Undefined: as we are.
 */
export async function findOwner(folders: readonly string[]): Promise<Owner | undefined> {
  if (process.geteuid?.() !== 0) return undefined;
  const users = parseUsers(await readFile("/etc/passwd", "utf8").catch(() => ""));
  for (const folder of folders) {
    const uid = (await stat(folder).catch(() => undefined))?.uid;
    const found = [...users.values()].find((user) => user.uid === uid);
    if (found !== undefined && found.uid !== 0) return found; // initdb wants a user with a name
  }
  return users.get("postgres") ?? users.get("nobody") ?? { uid: 65534, gid: 65534 };
}

/** By name. macOS writes -2 for 4294967294. */
function parseUsers(text: string): Map<string, Owner> {
  const lines = text.split("\n").map((line) => line.split(":"));
  return new Map(
    lines.map(([name = "", , uid, gid]) => [
      name,
      { uid: Number(uid) >>> 0, gid: Number(gid) >>> 0 },
    ]),
  );
}

/**
 * Whether the user may read and search the path and every folder above it, by their modes alone.
 * What does not exist yet is no obstacle.
 */
export async function isReachable(path: string, owner: Owner): Promise<boolean> {
  const found = await stat(path).catch(() => undefined);
  if (found !== undefined) {
    const shift = found.uid === owner.uid ? 6 : found.gid === owner.gid ? 3 : 0;
    const wanted = found.isDirectory() ? 0o1 : 0o4;
    if (((found.mode >> shift) & wanted) !== wanted) return false;
  }
  const parent = dirname(path);
  return parent === path || (await isReachable(parent, owner));
}
