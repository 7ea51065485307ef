// Runs before every command of a fresh clone, so it uses nothing but Node, even an old one.
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = join(dirname(fileURLToPath(import.meta.url)), "..");
const OLDEST_NODE = 20;

const major = Number(process.versions.node.split(".")[0]);
if (major < OLDEST_NODE) {
  console.error(
    `Tidebase needs Node ${OLDEST_NODE} or newer; this is ${process.versions.node}. Get it at https://nodejs.org or with a version manager, then run the command again.`,
  );
  process.exit(1);
}

const wrong = findDifference();
if (wrong !== undefined) {
  console.error(`Installing dependencies with npm ci (${wrong}) …`);
  install();
}

/** Why node_modules does not match package-lock.json; undefined: it does. */
function findDifference() {
  const wanted = readLock("package-lock.json");
  if (wanted === undefined) throw new Error("package-lock.json is missing or broken.");
  const present = readLock("node_modules/.package-lock.json");
  if (present === undefined) return "they are not installed yet";
  const different = Object.keys(wanted).find((path) => differs(wanted[path], present[path], path));
  return different === undefined ? undefined : `${different} is missing or out of date`;
}

/** An optional package that is absent was left out for another platform. */
function differs(wanted, present, path) {
  if (path === "" || wanted.extraneous) return false;
  if (present === undefined) return !wanted.optional && !wanted.devOptional;
  return ["version", "integrity", "link"].some((field) => wanted[field] !== present[field]);
}

function readLock(path) {
  try {
    return JSON.parse(readFileSync(join(ROOT, path), "utf8")).packages;
  } catch {
    return undefined;
  }
}

/** With the npm that started us, where there is one; whatever its settings leave out is needed here. */
function install() {
  const quiet = ["--no-audit", "--no-fund", "--loglevel=error"];
  const options = ["ci", "--include=dev", "--include=optional", ...quiet];
  const npm = process.env.npm_execpath;
  const known = npm !== undefined && basename(npm) === "npm-cli.js";
  const { status, error } = known
    ? spawnSync(process.execPath, [npm, ...options], { cwd: ROOT, stdio: "inherit" })
    : spawnSync("npm", options, {
        cwd: ROOT,
        stdio: "inherit",
        shell: process.platform === "win32",
      });
  if (status === 0) return;
  console.error(`npm ci failed${error ? ` (${error.message})` : ""}; its output above says why.`);
  process.exit(1);
}
