/** `npm run bench`: installs the bench's own dependencies when they are missing, then measures; see bench.mjs. */
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const FOLDER = fileURLToPath(new URL(".", import.meta.url));

if (!isInstalled()) install();
await import("./bench.mjs");

/** Whether node_modules holds what the lock file names. */
function isInstalled() {
  const wanted = versions("package-lock.json");
  const present = versions("node_modules/.package-lock.json");
  return Object.keys(wanted).every((path) => path === "" || present[path] === wanted[path]);
}

function versions(path) {
  try {
    const { packages } = JSON.parse(readFileSync(new URL(path, import.meta.url), "utf8"));
    return Object.fromEntries(
      Object.entries(packages).map(([name, { version }]) => [name, version]),
    );
  } catch {
    return {};
  }
}

function install() {
  const options = { cwd: FOLDER, stdio: "inherit", shell: process.platform === "win32" };
  const { status } = spawnSync("npm", ["ci", "--no-audit", "--no-fund"], options);
  if (status !== 0) throw new Error("npm ci failed in bench/; its output above says why.");
}
