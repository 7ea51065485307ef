import { execFile } from "node:child_process";
import { randomUUID } from "node:crypto";
import { mkdir, open, readlink, rm, rmdir, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { mounted } from "../world/leftovers.ts";
import { ownMark } from "../world/lost-mounts.ts";
import type { World } from "../world/world.ts";
import type { Fault } from "./fault.ts";
import { stateOfFailure, withHostile } from "./hostile-client.ts";
import { serversWork, until } from "./seen.ts";

const run = promisify(execFile);

/** Besides what the table has already. */
const ROOM_BYTES = 4 * 1024 * 1024;
const PIECE = new Uint8Array(64 * 1024);
const DISK_FULL = "53100";
const TABLE_IN_USE = "55P03";
/** Every change of a run writes to it. */
const TABLE = "tidebase.events";
const SOMETHING =
  "insert into hostile_probe select repeat(md5(i::text), 200) from generate_series(1, 200) i";

/** A small disk of the trial's, mounted where its Postgres can reach it. */
interface Disk {
  readonly path: string;
  readonly tablespace: string;
  readonly ballast: string;
  /** Called when it is mounted no more. */
  forget(): void;
}

/**
 * F20: the data disk is full, by a tablespace on a tmpfs with something else in it; the log's disk is not. Needs root, who may
 * mount; throws where that is refused.
 */
export const diskFault: Fault = {
  id: "F20",
  title: "data disk full",
  lastsMs: 3000,
  async fire(world) {
    const disk = await mountDisk(world);
    const heal = async (): Promise<void> => {
      await unmountDisk(world, disk);
      await serversWork(world);
    };
    try {
      await withHostile(world, async (client) => {
        await client.query(`create tablespace ${disk.tablespace} location '${disk.path}'`);
        await client.query("set lock_timeout = '1s'");
        await until(`${TABLE} is moved`, async () => {
          const moved = client.query(`alter table ${TABLE} set tablespace ${disk.tablespace}`);
          return (await stateOfFailure(moved)) !== TABLE_IN_USE;
        });
        await client.query(`create table hostile_probe (x text) tablespace ${disk.tablespace}`);
        await fill(disk.ballast);
        const state = await stateOfFailure(client.query(SOMETHING));
        if (state !== DISK_FULL) throw new Error(`The disk was not full: ${state}.`);
      });
    } catch (error) {
      await heal();
      throw error;
    }
    return { told: `the disk of ${TABLE} was full`, heal };
  },
};

async function mountDisk(world: World): Promise<Disk> {
  const postmaster = `/proc/${await world.postgres.pid()}`;
  const { uid, gid } = await stat(postmaster);
  const name = `small_${randomUUID().slice(0, 8)}`;
  const path = join(dirname(await readlink(`${postmaster}/cwd`)), name); // next to its data
  const [row] = await world.query(`select pg_total_relation_size('${TABLE}')::float8 as bytes`);
  const bytes = Number(row?.["bytes"]) + ROOM_BYTES;
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
  return { path, tablespace: name, ballast: join(path, "ballast"), forget };
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

/** Room first: then everything can be moved back. */
async function unmountDisk(
  world: World,
  { path, tablespace, ballast, forget }: Disk,
): Promise<void> {
  await rm(ballast, { force: true });
  await withHostile(world, async (client) => {
    await client.query("set lock_timeout = '1s'");
    await client.query("drop table if exists hostile_probe");
    await until(`${TABLE} is moved back`, async () => {
      const moved = client.query(`alter table ${TABLE} set tablespace pg_default`);
      return (await stateOfFailure(moved)) !== TABLE_IN_USE;
    });
    await until("the small disk is left", async () => {
      const dropped = client.query(`drop tablespace if exists ${tablespace}`);
      return (await stateOfFailure(dropped)) === undefined; // others still have files of it open
    });
  });
  await run("umount", [path]);
  forget();
  await rmdir(path);
}
