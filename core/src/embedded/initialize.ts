import { mkdtemp, open, readdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { StoreError } from "../store/error.ts";
import type { Binaries } from "./binaries.ts";
import { giveTo, type Layout } from "./home.ts";
import { run } from "./program.ts";

/**
 * Makes a new cluster. It is built beside its place and renamed into it: a kill in the middle leaves
 * nothing half made.
 */
export async function initialize(
  binaries: Binaries,
  layout: Layout,
  synced: boolean,
): Promise<void> {
  const { home, data, owner, password } = layout;
  const prefix = `${data}.new-`;
  for (const name of await readdir(home))
    if (join(home, name).startsWith(prefix))
      await rm(join(home, name), { recursive: true, force: true }).catch(() => {});
  const draft = await mkdtemp(prefix);
  await giveTo(owner, draft);
  const flags = ["-D", draft, "-U", "tidebase", "-A", "scram-sha-256", `--pwfile=${password}`];
  const looks = ["--encoding=UTF8", "--locale=C", "--no-instructions"];
  await run(binaries.initdb, [...flags, ...looks, ...(synced ? [] : ["--no-sync"])], layout);
  await rename(draft, data);
  if (synced && process.platform !== "win32") {
    const folder = await open(home, "r");
    await folder.sync().finally(() => folder.close());
  }
}

/**
 * Throws when the home holds the data of another major version: it cannot be read, no pg_upgrade is
 * shipped, and nothing of it is touched.
 */
export async function refuseOtherVersion(layout: Layout, major: number): Promise<void> {
  for (const name of await readdir(layout.home)) {
    const other = Number(/^pg(\d+)$/.exec(name)?.[1] ?? major);
    if (other === major) continue;
    const folder = join(layout.home, name);
    throw new StoreError("embedded_other_version", {
      message: `${folder} was made by Postgres ${other}; this Tidebase brings Postgres ${major}, which cannot read it.`,
      fix:
        other > major
          ? "Use the newer Tidebase that made it."
          : `With the Tidebase that made it run \`npx tidebase db export\`, move ${folder} away, then run \`npx tidebase db import\` with this one.`,
    });
  }
}
