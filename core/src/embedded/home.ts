import { createHash, randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { chmod, chown, mkdir, readdir, readFile, realpath, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { StoreError } from "../store/error.ts";
import type { Environment } from "../store/variables.ts";
import { findOwner, isReachable, type Owner } from "./owner.ts";

/** Where everything of one cluster lies. All paths are absolute and free of symbolic links. */
export interface Layout {
  readonly home: string;
  /** As whom Postgres runs; undefined: as we are. */
  readonly owner: Owner | undefined;
  /** Postgres's own folder. */
  readonly data: string;
  readonly port: string;
  readonly password: string;
  readonly log: string;
  readonly lock: string;
  /** One file for each Tidebase process that uses the cluster. */
  readonly processes: string;
}

/** Where a root process keeps what the user Postgres runs as could not reach in its home. */
const SYSTEM_HOME = "/var/lib/tidebase";
const SYSTEM_HOMES = "/var/lib/tidebase-homes";

/** `TIDEBASE_HOME`, else the platform's folder for a user's data. */
export function findHome(env: Environment): string {
  if (env["TIDEBASE_HOME"]) return resolve(env["TIDEBASE_HOME"]);
  if (process.platform === "darwin") return join(homedir(), "Library/Application Support/tidebase");
  if (process.platform === "win32")
    return join(env["LOCALAPPDATA"] ?? join(homedir(), "AppData", "Local"), "tidebase");
  return join(env["XDG_DATA_HOME"] || join(homedir(), ".local/share"), "tidebase");
}

/**
 * The layout of the cluster of this major version, its home made if it is missing. A root process
 * whose home Postgres's user could not reach gets another in /var/lib.
 */
export async function layOut(wanted: string, major: number): Promise<Layout> {
  const asked = resolve(wanted);
  const owner = await findOwner([join(asked, `pg${major}`), asked]);
  const home = await makeHome(asked, owner);
  const path = (suffix: string): string => join(home, `pg${major}${suffix}`);
  return {
    home,
    owner,
    data: path(""),
    port: path(".port"),
    password: path(".password"),
    log: path(".log"),
    lock: path(".lock"),
    processes: path(".processes"),
  };
}

function substitute(home: string): string {
  if (home === findHome({})) return SYSTEM_HOME;
  const digest = createHash("sha256").update(home).digest("hex").slice(0, 16);
  return join(SYSTEM_HOMES, digest);
}

async function makeHome(asked: string, owner: Owner | undefined): Promise<string> {
  try {
    await mkdir(dirname(asked), { recursive: true });
    const usable = owner === undefined || (await isReachable(dirname(asked), owner));
    const home = usable ? await makeFolder(asked, owner) : undefined;
    if (home !== undefined && (owner === undefined || (await isReachable(home, owner))))
      return home;
    await mkdir(SYSTEM_HOMES, { recursive: true });
    await chmod(SYSTEM_HOMES, 0o755); // whatever the umask is
    return await makeFolder(substitute(asked), owner);
  } catch (error) {
    if (error instanceof StoreError) throw error;
    throw new StoreError("embedded_failed", {
      message: `The folder of the embedded Postgres cannot be used: ${(error as Error).message}.`,
      fix: "Set TIDEBASE_HOME to a folder this user may write to, or TIDEBASE_DATABASE_URL to another Postgres.",
      cause: error,
    });
  }
}

/** A folder that held something before us keeps its owner and mode. */
async function makeFolder(home: string, owner: Owner | undefined): Promise<string> {
  await mkdir(home, { recursive: true, mode: 0o700 });
  if ((await readdir(home)).length === 0) {
    await chmod(home, 0o700);
    await giveTo(owner, home);
  }
  return await realpath(home);
}

/** Makes Postgres's user the owner; nothing to do unless we are root. */
export async function giveTo(owner: Owner | undefined, path: string): Promise<void> {
  if (owner === undefined) return;
  try {
    await chown(path, owner.uid, owner.gid);
  } catch (error) {
    throw new StoreError("embedded_failed", {
      message: `Postgres refuses to run as root, and this root may not give ${path} to another user (${(error as NodeJS.ErrnoException).code}).`,
      fix: "Run as a normal user, or set TIDEBASE_DATABASE_URL to another Postgres.",
      cause: error,
    });
  }
}

/** The superuser's password; made on first use. Call it under the lock. */
export async function readPassword({ password, owner, data }: Layout): Promise<string> {
  const known = await readFile(password, "utf8").catch(() => "");
  if (known !== "") return known.trim();
  if (existsSync(data))
    throw new StoreError("embedded_failed", {
      message: `The password of the embedded Postgres, ${password}, is missing or not readable.`,
      fix: "Restore that file, or move the folder beside it away to begin anew.",
    });
  const made = randomBytes(24).toString("base64url");
  await writeFile(password, `${made}\n`, { mode: 0o600 });
  await giveTo(owner, password);
  return made;
}
