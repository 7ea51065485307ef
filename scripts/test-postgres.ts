import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { cacheFolder, packageName, RELEASES, ROOT } from "./postgres-package.ts";

// Runs core's tests on the older majors of Postgres, those given or all, one line each. Their
// binaries come from the registry and stay in node_modules/.cache.

function fetchPackage(release: string): void {
  const folder = cacheFolder(release);
  if (existsSync(join(folder, "node_modules", packageName(), "package.json"))) return;
  mkdirSync(folder, { recursive: true });
  const flags = ["--no-save", "--no-package-lock", "--ignore-scripts", "--no-audit", "--no-fund"];
  const wanted = `${packageName()}@${release}`;
  execFileSync("npm", ["install", "--prefix", folder, ...flags, wanted], {
    stdio: ["ignore", "ignore", "inherit"],
    shell: process.platform === "win32",
  });
}

function test(major: string, release: string): boolean {
  fetchPackage(release);
  const vitest = join(ROOT, "node_modules/vitest/vitest.mjs");
  const started = Date.now();
  const own = ["--exclude", "core/test/embedded*.test.ts"]; // of the installed release alone
  const run = spawnSync(process.execPath, [vitest, "run", "core/", ...own], {
    cwd: ROOT,
    encoding: "utf8",
    env: { ...process.env, TIDEBASE_TEST_POSTGRES: major, NO_COLOR: "1" },
  });
  const [summary] = /^ *Tests .*$/m.exec(run.stdout) ?? ["no tests ran"];
  const seconds = Math.round((Date.now() - started) / 1000);
  console.log(`Postgres ${release}: ${summary.trim().replace(/\s+/g, " ")}, ${seconds} s`);
  if (run.status !== 0) console.error(run.stdout, run.stderr);
  return run.status === 0;
}

const asked = process.argv.slice(2);
const majors = asked.length > 0 ? asked : Object.keys(RELEASES);
for (const major of majors) {
  const release = RELEASES[major];
  if (release === undefined)
    throw new Error(`Postgres ${major} is none of ${Object.keys(RELEASES).join(", ")}.`);
  if (!test(major, release)) process.exitCode = 1;
}
