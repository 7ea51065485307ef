import { readFile, stat } from "node:fs/promises";
import { dirname } from "node:path";

/** The user as whom Postgres runs. */
export interface Owner {
  readonly uid: number;
  readonly gid: number;
}

/**
 * As whom Postgres runs when we are root, which it refuses to be: whoever owns the folder already,
 * else `postgres`, else `nobody`. Undefined: as we are.
 */
export async function findOwner(folders: readonly string[]): Promise<Owner | undefined> {
  if (process.geteuid?.() !== 0) return undefined;
  for (const folder of folders) {
    const found = await stat(folder).catch(() => undefined);
    if (found !== undefined && found.uid !== 0) return { uid: found.uid, gid: found.gid };
  }
  const users = await readFile("/etc/passwd", "utf8").catch(() => "");
  return findUser(users, "postgres") ?? findUser(users, "nobody") ?? { uid: 65534, gid: 65534 };
}

function findUser(users: string, name: string): Owner | undefined {
  const fields = users
    .split("\n")
    .find((line) => line.startsWith(`${name}:`))
    ?.split(":");
  if (fields?.[2] === undefined || fields[3] === undefined) return undefined;
  return { uid: Number(fields[2]) >>> 0, gid: Number(fields[3]) >>> 0 }; // macOS writes -2
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
