/** `npm run bench`: installs the bench's own dependencies when they are missing, then measures; see bench.mjs. */
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const FOLDER = fileURLToPath(new URL(".", import.meta.url));

if (!isInstalled()) install();
await import("./bench.mjs");

/** Whether node_modules holds what the lock file names; what is optional may be for another platform. */
function isInstalled() {
  const present = packagesOf("node_modules/.package-lock.json");
  return Object.entries(packagesOf("package-lock.json")).every(([path, { version, optional }]) => {
    return path === "" || (optional && !(path in present)) || present[path]?.version === version;
  });
}

function packagesOf(path) {
  try {
    return JSON.parse(readFileSync(new URL(path, import.meta.url), "utf8")).packages;
  } catch {
    return {};
  }
}

function install() {
  const options = { cwd: FOLDER, stdio: "inherit", shell: process.platform === "win32" };
  const { status } = spawnSync("npm", ["ci", "--no-audit", "--no-fund"], options);
  if (status !== 0) throw new Error("npm ci failed in bench/; its output above says why.");
}
