import { execFile } from "node:child_process";
import { readdir, rm, stat, symlink } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import type { World } from "../world/world.ts";
import type { Blow, Fault } from "./fault.ts";
import { stateOfFailure, withHostile } from "./hostile-client.ts";
import { serversWork, until } from "./seen.ts";
import { dataFolder, mountDisk, type SmallDisk } from "./small-disk.ts";

const run = promisify(execFile);

/** Besides what the table has already. */
const ROOM_BYTES = 4 * 1024 * 1024;
const DISK_FULL = "53100";
const TABLE_IN_USE = "55P03";
/** Every change of a run writes to it. */
const TABLE = "tidebase.events";
const SOMETHING =
  "insert into hostile_probe select repeat(md5(i::text), 200) from generate_series(1, 200) i";
/** Besides the segments that the log has already: what comes to it until it is moved. */
const LOG_ROOM_BYTES = 64 * 1024 * 1024;
/** Segments that are kept for later are written to first. */
const NEXT_SEGMENT = "select pg_logical_emit_message(false, 'chaos', ''), pg_switch_wal()";

/** F20: the disk of a table is full, or that of Postgres's log: a tmpfs with something else in it. */
export const diskFault: Fault = {
  id: "F20",
  title: "disk full: of the data, or of Postgres's log",
  lastsMs: 3000,
  fire: (world, random) => (random(2) === 0 ? dataFull(world) : logFull(world)),
};

async function dataFull(world: World): Promise<Blow> {
  const [row] = await world.query(`select pg_total_relation_size('${TABLE}')::float8 as bytes`);
  const disk = await mountDisk(world, Number(row?.["bytes"]) + ROOM_BYTES);
  const tablespace = disk.name;
  const heal = async (): Promise<void> => {
    await leaveDisk(world, disk);
    await serversWork(world);
  };
  try {
    await withHostile(world, async (client) => {
      await client.query(`create tablespace ${tablespace} location '${disk.path}'`);
      await client.query("set lock_timeout = '1s'");
      await until(`${TABLE} is moved`, async () => {
        const moved = client.query(`alter table ${TABLE} set tablespace ${tablespace}`);
        return (await stateOfFailure(moved)) !== TABLE_IN_USE;
      });
      await client.query(`create table hostile_probe (x text) tablespace ${tablespace}`);
      await disk.fill();
      const state = await stateOfFailure(client.query(SOMETHING));
      if (state !== DISK_FULL) throw new Error(`The disk was not full: ${state}.`);
    });
  } catch (error) {
    await heal();
    throw error;
  }
  return { told: `the disk of ${TABLE} was full`, heal };
}

/** Room first: then everything can be moved back. */
async function leaveDisk(world: World, disk: SmallDisk): Promise<void> {
  await disk.makeRoom();
  await withHostile(world, async (client) => {
    await client.query("set lock_timeout = '1s'");
    await client.query("drop table if exists hostile_probe");
    await until(`${TABLE} is moved back`, async () => {
      const moved = client.query(`alter table ${TABLE} set tablespace pg_default`);
      return (await stateOfFailure(moved)) !== TABLE_IN_USE;
    });
    await until("the small disk is left", async () => {
      const dropped = client.query(`drop tablespace if exists ${disk.name}`);
      return (await stateOfFailure(dropped)) === undefined; // others still have files of it open
    });
  });
  await disk.unmount();
}

/** Postgres cannot go on without its log: it ends, and stays away while there is no room. */
async function logFull(world: World): Promise<Blow> {
  const { postgres } = world;
  const log = join(await dataFolder(world), "pg_wal");
  const disk = await mountDisk(world, (await sizeOf(log)) + LOG_ROOM_BYTES);
  const there = join(disk.path, "pg_wal");
  const heal = async (): Promise<void> => {
    await disk.makeRoom();
    await postgres.restart(async () => {
      await rm(log); // the link, when it was made
      await moveFolder(there, log);
      await disk.unmount();
    });
    await serversWork(world);
  };
  await postgres.restart(async () => {
    await moveFolder(log, there);
    await symlink(there, log);
  });
  try {
    await disk.fill();
    await until("Postgres ends without room for its log", () => ends(world));
  } catch (error) {
    await heal();
    throw error;
  }
  return { told: "the disk of Postgres's log was full, and Postgres ended", heal };
}

async function sizeOf(folder: string): Promise<number> {
  const files = await readdir(folder);
  const sizes = await Promise.all(files.map(async (file) => (await stat(join(folder, file))).size));
  return sizes.reduce((sum, size) => sum + size, 0);
}

/** From disk to disk, with its owner: one is not renamed to the other. */
async function moveFolder(from: string, to: string): Promise<void> {
  await run("cp", ["-a", from, to]);
  await rm(from, { recursive: true });
}

/** Fills the log up a little more; whether nobody answers. */
async function ends(world: World): Promise<boolean> {
  const filled = withHostile(world, (client) => client.query(NEXT_SEGMENT));
  return (await stateOfFailure(filled)) !== undefined;
}
