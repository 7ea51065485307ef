import { execFile, spawn } from "node:child_process";
import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";

const root = fileURLToPath(new URL("../../", import.meta.url));
const shell = process.platform === "win32";
const CLAUDE_CODE = "@anthropic-ai/claude-code@2.1.330";
const CODEX = "@openai/codex@0.169.0";
const MCPB = "@anthropic-ai/mcpb@2.1.2";
/** No store can be reached: an answer to `initialize` needs none. */
const DATABASE = "TIDEBASE_DATABASE_URL=postgres://nobody@127.0.0.1:9/none";

interface Ended {
  readonly code: number;
  readonly output: string;
  readonly stdout: string;
}

let place: string;
/** An empty folder in which the packed server alone was installed. */
let folder: string;
/** The home of a user whom no client has met yet. */
let home: string;
let homes = 0;

/** A program to its end, whatever that is; its input ends at once. */
function run(command: string, args: readonly string[], cwd = folder): Promise<Ended> {
  const { HOME: _home, ...rest } = process.env;
  const own = {
    HOME: home,
    CLAUDE_CONFIG_DIR: join(home, "claude"),
    CODEX_HOME: join(home, "codex"),
  };
  const env = { ...rest, ...own, npm_config_cache: process.env["npm_config_cache"] ?? cache };
  const child = spawn(command, args, { cwd, env, shell, stdio: ["ignore", "pipe", "pipe"] });
  let [output, stdout] = ["", ""];
  child.stdout.on("data", (part) => {
    stdout += part;
  });
  for (const stream of [child.stdout, child.stderr])
    stream.on("data", (part) => {
      output += part;
    });
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code) => resolve({ code: code ?? 1, output, stdout }));
  });
}

const npx = (...args: string[]) => run("npx", ["-y", ...args]);
const installed = (...args: string[]) =>
  run("npx", ["--no-install", "tidebase-mcp", "install", ...args]);
let cache: string;

/** Starts the server as a client does; how it calls itself, and how many tools it offers. */
async function serve(command: string, args: string[], env: Record<string, string> = {}) {
  const client = new Client({ name: "test", version: "1.0.0" });
  const [name = "", value = ""] = DATABASE.split(/=(.*)/s);
  const variables = { PATH: process.env["PATH"] ?? "", HOME: home, [name]: value, ...env };
  await client.connect(
    new StdioClientTransport({ command, args, cwd: folder, env: variables, stderr: "ignore" }),
  );
  const server = client.getServerVersion();
  const { tools } = await client.listTools();
  await client.close();
  return { ...server, tools: tools.length };
}

beforeAll(async () => {
  place = await mkdtemp(join(tmpdir(), "tidebase distribution "));
  folder = join(place, "a project");
  await mkdir(folder);
  const ran = promisify(execFile);
  cache = (await ran("npm", ["config", "get", "cache"], { shell })).stdout.trim();
  const workspace = ["--workspace", "mcp-server", "--pack-destination", place];
  await ran("npm", ["pack", ...workspace], { cwd: root, shell });
  const [tarball = ""] = (await readdir(place)).filter((name) => name.endsWith(".tgz"));
  await writeFile(join(folder, "package.json"), '{ "name": "a-project" }');
  const alone = ["install", "--omit=optional", "--no-audit", "--no-fund", join(place, tarball)];
  await ran("npm", alone, { cwd: folder, shell });
});
beforeEach(async () => {
  home = join(place, `home ${homes++}`);
  for (const name of ["claude", "codex"]) await mkdir(join(home, name), { recursive: true });
});
afterAll(() => rm(place, { recursive: true, force: true }));

/** The marketplace with its plugins, as a clone holds them. */
async function cloneOfMarketplace(): Promise<string> {
  const clone = join(home, "clone");
  for (const name of [".claude-plugin", "plugins"])
    await cp(join(root, name), join(clone, name), { recursive: true });
  return clone;
}

test("Claude Code's validator passes the marketplace and the plugin, and no broken ones", async () => {
  const clone = await cloneOfMarketplace();
  const plugin = join(clone, "plugins", "tidebase");
  const validate = (path: string) => npx(CLAUDE_CODE, "plugin", "validate", "--strict", path);
  for (const path of [clone, plugin])
    expect(await validate(path)).toMatchObject({
      code: 0,
      output: expect.stringContaining("Validation passed"),
    });
  for (const [path, name] of [
    [clone, "marketplace.json"],
    [plugin, "plugin.json"],
  ] as const) {
    const file = join(path, ".claude-plugin", name);
    const text = await readFile(file, "utf8");
    await writeFile(file, text.replace('"tidebase"', '"not a name"'));
    expect(await validate(path)).toMatchObject({ code: 1 });
    await writeFile(file, text);
  }
});

test("Claude Code installs the plugin from the marketplace and connects to its server", async () => {
  const clone = await cloneOfMarketplace();
  const claude = (...args: string[]) => npx(CLAUDE_CODE, ...args);
  for (const args of [
    ["marketplace", "add", clone],
    ["install", "tidebase@tidebase"],
  ])
    expect(await claude("plugin", ...args)).toMatchObject({ code: 0 });
  const { output } = await claude("mcp", "list");
  expect(output).toMatch(/plugin:tidebase:tidebase: .*Connected/);
});

test("Claude Code connects to the server that install wrote into its file, and not after its removal", async () => {
  const line = ["--client", "claude-code", "--scope", "user", "--yes", "--env", DATABASE];
  expect(await installed(...line, "--local")).toMatchObject({ code: 0 });
  expect((await npx(CLAUDE_CODE, "mcp", "list")).output).toMatch(/tidebase: .*Connected/);
  expect((await installed(...line, "--local")).stdout).toContain("Nothing to change");
  expect(await installed(...line.slice(0, 5), "--remove")).toMatchObject({ code: 0 });
  expect((await npx(CLAUDE_CODE, "mcp", "list")).output).not.toContain("tidebase");
});

test("Codex reads the block that install wrote, and its own entry is one that install finds", async () => {
  const listed = async () => JSON.parse((await npx(CODEX, "mcp", "list", "--json")).stdout);
  expect(await installed("--client", "codex", "--env", "A=b", "--yes")).toMatchObject({ code: 0 });
  const [entry] = await listed();
  expect(entry).toMatchObject({
    ...{ name: "tidebase", enabled: true },
    transport: { command: "npx", args: ["-y", "@tidebase/mcp"], env: { A: "b" } },
  });
  await installed("--client", "codex", "--remove", "--yes");
  expect(await listed()).toEqual([]);
  await npx(CODEX, "mcp", "add", "tidebase", "--", "npx", "-y", "@tidebase/mcp");
  expect((await installed("--client", "codex", "--yes")).stdout).toContain("Nothing to change");
});

test("every project file that install writes starts a server that answers", async () => {
  const { tools } = await serve("npx", ["--no-install", "tidebase-mcp"]);
  for (const [client, file, member] of [
    ["claude-code", ".mcp.json", "mcpServers"],
    ["cursor", ".cursor/mcp.json", "mcpServers"],
    ["vscode", ".vscode/mcp.json", "servers"],
  ] as const) {
    expect(await installed("--client", client, "--yes", "--local", "--read-only")).toMatchObject({
      code: 0,
    });
    const { tidebase } = JSON.parse(await readFile(join(folder, file), "utf8"))[member];
    const server = await serve(tidebase.command, tidebase.args);
    expect(server.name).toBe("tidebase");
    expect(server.tools).toBeLessThan(tools);
    await rm(join(folder, file));
  }
});

test("the plugin's launcher hands input and output through, and ends with its client", async () => {
  const launcher = join(root, "plugins", "tidebase", "start.mjs");
  expect(await serve(process.execPath, [launcher])).toMatchObject({ name: "tidebase" });
  expect(await run(process.execPath, [launcher, "--version"])).toMatchObject({
    code: 0,
    stdout: (await run("npx", ["--no-install", "tidebase-mcp", "--version"])).stdout,
  });
  expect(await run(process.execPath, [launcher, "--nonsense"])).toMatchObject({ code: 2 });
});

test("the MCPB bundle validates, packs, unpacks and answers without a setting", async () => {
  const bundle = join(home, "tidebase.mcpb");
  const script = join("scripts", "pack-mcpb.ts");
  const source = ["--import", "tsx", "--conditions=tidebase-source", script, bundle];
  expect(await run(process.execPath, source, join(root, "mcp-server"))).toMatchObject({ code: 0 });
  const unpacked = join(home, "unpacked");
  expect(await npx(MCPB, "unpack", bundle, unpacked)).toMatchObject({ code: 0 });
  const { server, version } = JSON.parse(await readFile(join(unpacked, "manifest.json"), "utf8"));
  const { command, args, env } = server.mcp_config;
  const here = args.map((text: string) => text.replace(/\$\{__dirname\}/, () => unpacked));
  expect(await serve(command, here, env)).toMatchObject({ name: "tidebase", version }); // nothing filled in
  expect((await readdir(unpacked)).sort()).toContain("LICENSE");

  const broken = join(home, "manifest.json");
  const text = await readFile(join(root, "mcp-server", "manifest.json"), "utf8");
  await writeFile(broken, text.replace('"entry_point"', '"entry"'));
  expect(await npx(MCPB, "validate", broken)).toMatchObject({ code: 1 });
});
