import { execFile } from "node:child_process";
import { cp, mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

/**
 * Packs the bundle for Claude Desktop, after `npm run bundle`: the vendor's tool checks the manifest
 * and writes the file that the first argument names.
 */
const MCPB = "@anthropic-ai/mcpb@2.1.2";
const at = (path: string): string => fileURLToPath(new URL(path, import.meta.url));
const output = resolve(process.argv[2] ?? at("../tidebase.mcpb"));
const folder = await mkdtemp(join(tmpdir(), "tidebase-mcpb-"));
try {
  await mkdir(join(folder, "dist"));
  const files = {
    ...{ "manifest.json": "", "package.json": "", "README.md": "", migrations: "", docs: "" },
    ...{
      "dist/main.js": "",
      "start.mjs": "scripts/mcpb/start.mjs",
      LICENSE: "",
      "THIRD-PARTY.txt": "",
    },
  };
  for (const [to, from] of Object.entries(files))
    await cp(at(`../${from === "" ? to : from}`), join(folder, to), { recursive: true });
  const npx = (...args: string[]) =>
    promisify(execFile)("npx", ["-y", MCPB, ...args], { shell: process.platform === "win32" });
  await npx("validate", join(folder, "manifest.json"));
  await npx("pack", folder, output);
  process.stdout.write(`${output}\n`);
} finally {
  await rm(folder, { recursive: true, force: true });
}
