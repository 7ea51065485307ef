import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { endHarnesses, harness, unmount } from "../world/leftovers.ts";
import { ownMark, removeLostMounts } from "../world/lost-mounts.ts";

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "tidebase-leftovers-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** Whether this user may mount, which takes root and a container that lets it. */
function mayMount(): boolean {
  const place = execFileSync("mktemp", ["-d"], { encoding: "utf8" }).trim();
  try {
    execFileSync("mount", ["-t", "tmpfs", "none", place], { stdio: "ignore" });
    unmount(place);
    return true;
  } catch {
    return false;
  } finally {
    execFileSync("rmdir", [place]);
  }
}

test.skipIf(!mayMount())(
  "what a harness that is gone had mounted is taken off; what a living one mounts stays",
  async () => {
    const mount = async (mark: string) => {
      const place = await mkdtemp(join(folder, "a place "));
      execFileSync("mount", ["-t", "tmpfs", mark, place]);
      return place;
    };
    const own = await ownMark();
    const living = await mount(own);
    const gone = await mount(`${own}0`); // of our number, but begun at another time
    try {
      expect(await removeLostMounts()).toContain(gone);
      expect(existsSync(gone)).toBe(false);
      expect(await removeLostMounts()).not.toContain(living);
    } finally {
      unmount(living);
    }
  },
);

test("a harness below this one is asked to end, and waited for while it cleans up; one that has ended is not", async () => {
  const cleaned = join(folder, "cleaned");
  const program = `
    process.on("SIGTERM", () => setTimeout(() => {
      require("node:fs").writeFileSync(process.argv[1], "");
      process.exit();
    }, 200));
    setInterval(() => {}, 1000);
    console.log("ready");`;
  const child = spawn(process.execPath, ["-e", program, cleaned], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  harness(child);
  await once(child.stdout, "data");
  await endHarnesses();
  expect(existsSync(cleaned)).toBe(true);
  await endHarnesses(); // it would wait for an exit that does not come
});
