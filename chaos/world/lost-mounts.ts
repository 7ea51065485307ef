import { readFile, readlink, rmdir } from "node:fs/promises";
import { unmount } from "./leftovers.ts";

const PREFIX = "tidebase-chaos";

/** What this process calls what it mounts: a process of its number that began at another time is not it. */
export async function ownMark(): Promise<string> {
  return `${PREFIX}:${await namespace()}:${process.pid}:${await begunAt(process.pid)}`;
}

/**
 * Takes off the mounts of harnesses that were killed: those of processes that are not there any more, as far as this
 * one can see them. The places.
 */
export async function removeLostMounts(): Promise<string[]> {
  const table = await readFile("/proc/self/mounts", "utf8").catch(() => ""); // elsewhere nothing is mounted
  const ours = await namespace();
  const removed: string[] = [];
  for (const line of table.split("\n")) {
    const [mark = "", place = ""] = line.split(" ").map(unescaped);
    const [prefix, numbers, pid, at] = mark.split(":");
    if (prefix !== PREFIX || numbers !== ours || (await begunAt(Number(pid))) === at) continue;
    try {
      unmount(place);
    } catch {
      continue; // another user's: theirs to take off
    }
    await rmdir(place).catch(() => {}); // its folder may have been removed
    removed.push(place);
  }
  return removed;
}

/** Which processes its numbers are of. */
async function namespace(): Promise<string> {
  const link = await readlink("/proc/self/ns/pid").catch(() => "");
  return /\d+/.exec(link)?.[0] ?? "";
}

/** In ticks since the machine was started; undefined when there is no such process. */
async function begunAt(pid: number): Promise<string | undefined> {
  const text = await readFile(`/proc/${pid}/stat`, "latin1").catch(() => "");
  return text.slice(text.lastIndexOf(")") + 2).split(" ")[19];
}

const unescaped = (text: string): string =>
  text.replace(/\\(\d{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
