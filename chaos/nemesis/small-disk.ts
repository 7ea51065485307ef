import { execFile } from "node:child_process";
import { randomUUID } from "node:crypto";
import { mkdir, open, readlink, rm, rmdir, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { mounted } from "../world/leftovers.ts";
import { ownMark } from "../world/lost-mounts.ts";
import type { World } from "../world/world.ts";

const run = promisify(execFile);
const PIECE = new Uint8Array(64 * 1024);

/** A disk of the trial's that belongs to its Postgres. */
export interface SmallDisk {
  /** Of this trial alone. */
  readonly name: string;
  readonly path: string;
  /** Takes all the room that is left. */
  fill(): Promise<void>;
  /** Gives that back. */
  makeRoom(): Promise<void>;
  unmount(): Promise<void>;
}

/** Where the postmaster's data are. */
export async function dataFolder({ postgres }: World): Promise<string> {
  return await readlink(`/proc/${await postgres.pid()}/cwd`);
}

/** Mounts a tmpfs of so many bytes next to the data. Needs root, who may mount; throws where that is refused. */
export async function mountDisk(world: World, bytes: number): Promise<SmallDisk> {
  const { uid, gid } = await stat(`/proc/${await world.postgres.pid()}`);
  const name = `small_${randomUUID().slice(0, 8)}`;
  const path = join(dirname(await dataFolder(world)), name);
  const ballast = join(path, "ballast");
  await mkdir(path);
  const forget = mounted(path); // before it is: it may all end meanwhile
  try {
    const options = `size=${bytes},mode=0700,uid=${uid},gid=${gid}`;
    await run("mount", ["-t", "tmpfs", "-o", options, await ownMark(), path]);
  } catch (cause) {
    forget();
    await rmdir(path);
    throw new Error("No small disk can be mounted here: that takes root.", { cause });
  }
  return {
    ...{ name, path },
    fill: () => fill(ballast),
    makeRoom: () => rm(ballast, { force: true }),
    async unmount() {
      await run("umount", [path]);
      forget();
      await rmdir(path);
    },
  };
}

async function fill(path: string): Promise<void> {
  const file = await open(path, "w");
  try {
    for (;;) await file.write(PIECE);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOSPC") throw error;
  } finally {
    await file.close();
  }
}
