import { existsSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { clusterStatus, type FoundStore } from "@tidebase/core";
import type { Cli } from "../cli.ts";
import { planInit } from "../init/init.ts";
import { count, tidebaseLine } from "../output.ts";
import { type Check, fail, ok, type Said, warn } from "./check.ts";

const OLDEST_NODE = 20;

/** Node is as Tidebase needs it; `version` is without the `v`. */
export function nodeSaid(version: string): Said {
  const major = Number(version.split(".", 1)[0]);
  if (major >= OLDEST_NODE) return ok(`Node ${version}.`);
  return fail(`Node ${version} is too old.`, `Use Node ${OLDEST_NODE} or newer.`);
}

/** The Postgres that Tidebase brings along; starts and changes nothing. */
export const embeddedCheck: Check<FoundStore> = {
  name: "embedded Postgres",
  async look(found) {
    if (found.kind !== "embedded") return ok("Not in use: another store is named.");
    const { state, port, processes, home } = await clusterStatus({ home: found.home });
    const other = state === "absent" ? await otherVersion(home) : undefined;
    if (other !== undefined)
      return fail(
        `${join(home, other)} was made by another version of Postgres than this Tidebase brings.`,
        "With the Tidebase that made it: npx tidebase db export; then npx tidebase db import with this one.",
      );
    if (state === "absent") return ok(`Not made yet in ${home}: the first command makes it.`);
    if (state === "stopped") return ok(`Stopped, in ${home}: the next command starts it.`);
    return ok(
      `Runs on port ${port}, for ${count(processes, "Tidebase process", "Tidebase processes")}.`,
    );
  },
};

async function otherVersion(home: string): Promise<string | undefined> {
  return (await readdir(home)).find((name) => /^pg\d+$/.test(name));
}

/** What coding agents are told in this project. */
export const projectChecks: readonly Check<Cli>[] = [
  { name: "AGENTS.md", look: ({ cwd }) => toldSaid(cwd, (name) => !name.includes("/")) },
  { name: "skill", look: ({ cwd }) => toldSaid(cwd, (name) => name.includes("/")) },
];

async function toldSaid(cwd: string, isMeant: (name: string) => boolean): Promise<Said> {
  if (!["package.json", ".git"].some((name) => existsSync(join(cwd, name))))
    return ok("This folder is no project.");
  const { files } = await planInit(cwd, { remove: false, force: false, skill: true });
  const old = files.filter(({ file, change }) => isMeant(file) && change !== "none");
  if (old.length === 0) return ok("Coding agents are told about Tidebase as of this version.");
  const edited = old.find(({ held }) => held !== undefined);
  if (edited !== undefined)
    return warn(
      `${edited.file} is not as this version writes it: ${edited.held}.`,
      tidebaseLine(["init", "--dry-run"]),
    );
  const missing = old.every(({ change }) => change === "create");
  return warn(
    missing
      ? "Coding agents are not told about Tidebase here."
      : `${old[0]?.file} lacks what this version writes.`,
    tidebaseLine(["init"]),
  );
}
