import { execFile } from "node:child_process";
import { mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { useDatabase } from "../../core/test/support/database.ts";
import { type Answer, failedRun } from "../../mcp-server/test/support.ts";

/* The official inspector against the packed and installed server, on the Node that the inspector asks for. */

const db = useDatabase();
const root = fileURLToPath(new URL("../../", import.meta.url));
const WINDOWS = process.platform === "win32";
const [npm, npx] = WINDOWS ? ["npm.cmd", "npx.cmd"] : ["npm", "npx"];
const INSPECTOR = ["-y", "-p", "node@22", "-p", "@modelcontextprotocol/inspector@2.12.0"];

let folder = "";
let runId = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "tidebase-inspector-"));
  const packed = join(folder, "packed");
  await mkdir(packed);
  await run(npm, ["pack", "-w", "mcp-server", "--pack-destination", packed], root);
  const tarballs = (await readdir(packed)).map((name) => join(packed, name));
  await writeFile(join(folder, "package.json"), '{ "name": "a-project" }');
  await run(npm, ["install", "--no-audit", "--no-fund", ...tarballs], folder);
  ({ runId } = await failedRun(db));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** The program to its end, whatever that is. */
function run(program: string, args: readonly string[], cwd: string): Promise<Ran> {
  const { TIDEBASE_URL: _u, DATABASE_URL: _d, ...rest } = process.env;
  const options = { cwd, env: rest, maxBuffer: 50_000_000, shell: WINDOWS };
  return new Promise((resolve) =>
    execFile(program, [...args], options, (error, stdout, stderr) =>
      resolve({ code: error === null ? 0 : Number(error.code ?? 1), stdout, stderr }),
    ),
  );
}

async function inspect(...args: string[]): Promise<Ran> {
  const bin = join(folder, "node_modules", "@tidebase", "mcp", "dist", "main.js");
  const store = ["-e", `TIDEBASE_DATABASE_URL=${db.url}`]; // of its own it hands nothing on
  const given = [...INSPECTOR, "mcp-inspector", "--cli", "node", bin, ...store, ...args];
  return await run(npx, given, folder);
}

/** What the inspector printed as JSON, once it ended well. */
async function read(...args: string[]): Promise<Answer> {
  const { code, stdout, stderr } = await inspect(...args, "--format", "json");
  expect(code, stderr).toBe(0);
  return JSON.parse(stdout);
}

test("its strict check of every tool's schemas finds no error", async () => {
  const { code, stdout, stderr } = await inspect("--method", "tools/list", "--strict");
  const warnings = `${stdout}\n${stderr}`.match(/warning/gi)?.length ?? 0;
  process.stdout.write(`The inspector's strict check: ${warnings} lines with warnings.\n`);
  expect(code, stderr).toBe(0);
  expect(stdout).toContain("tidebase_fork_run");
});

test("it calls tools, which answer from the store", async () => {
  const called = ["--method", "tools/call", "--tool-name"];
  const arg = ["--tool-arg", `runId=${runId}`];
  const answer = JSON.stringify(await read(...called, "tidebase_get_run", ...arg));
  expect(answer).toContain(runId);
  expect(answer).toContain("needs_review");
  const { code } = await inspect(...called, "tidebase_get_run", "--tool-arg", "runId=nobody");
  expect(code).toBe(5); // the inspector's own code of a tool's error
});

test("it lists resource templates and prompts, and reads one of each", async () => {
  const templates = JSON.stringify(await read("--method", "resources/templates/list"));
  expect(templates).toContain("tidebase://runs/{runId}");
  const uri = `tidebase://runs/${runId}`;
  expect(JSON.stringify(await read("--method", "resources/read", "--uri", uri))).toContain(runId);
  const asked = ["--prompt-name", "investigate_run", "--prompt-args", `runId=${runId}`];
  expect(JSON.stringify(await read("--method", "prompts/get", ...asked))).toContain(runId);
});
