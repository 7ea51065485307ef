import { randomUUID } from "node:crypto";
import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join as joinPaths } from "node:path";
import { giveTo, type Layout } from "./home.ts";
import { isAlive, ownIdentity, type ProcessIdentity } from "./live-process.ts";

/** This process counts as a user of the cluster until it ends this, or itself. */
export interface Membership {
  end(): Promise<void>;
}

/** Call it under the lock, so that nobody stops the server between finding it and joining. */
export async function join({ processes, owner }: Layout): Promise<Membership> {
  await mkdir(processes, { recursive: true, mode: 0o700 });
  await giveTo(owner, processes);
  const file = joinPaths(processes, randomUUID());
  await writeFile(file, JSON.stringify(ownIdentity()));
  return { end: () => rm(file, { force: true }) };
}

/** How many memberships of live processes there are. */
export async function countMembers({ processes }: Layout): Promise<number> {
  const files = await readdir(processes).catch(() => []);
  let count = 0;
  for (const file of files) {
    if (await isMember(joinPaths(processes, file))) count++;
    else await rm(joinPaths(processes, file), { force: true });
  }
  return count;
}

async function isMember(file: string): Promise<boolean> {
  try {
    return isAlive(JSON.parse(await readFile(file, "utf8")) as ProcessIdentity);
  } catch {
    return false; // its process died while it wrote it
  }
}
