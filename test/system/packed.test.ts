import { execFile, spawn } from "node:child_process";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { afterAll, beforeAll, expect, test } from "vitest";
import { untilPrinted } from "../support/process.ts";

const run = promisify(execFile);
const root = fileURLToPath(new URL("../../", import.meta.url));
const npm = process.platform === "win32" ? "npm.cmd" : "npm";

/** A newcomer's empty folder, with a blank in its name, in which every package was installed at once. */
let folder: string;
let home: string;
const env = () => {
  const { TIDEBASE_URL: _u, TIDEBASE_DATABASE_URL: _d, DATABASE_URL: _a, ...rest } = process.env;
  return { ...rest, TIDEBASE_HOME: home } as Record<string, string>;
};
const bin = (name: string) => join(folder, "node_modules", ".bin", name);

beforeAll(async () => {
  const place = await mkdtemp(join(tmpdir(), "tidebase packed "));
  folder = join(place, "a project");
  home = join(place, "home");
  const packed = join(place, "packed");
  await Promise.all([mkdir(folder), mkdir(packed)]);
  await run(npm, ["pack", "--workspaces", "--pack-destination", packed], { cwd: root });
  const tarballs = (await readdir(packed)).map((name) => join(packed, name));
  expect(tarballs).toHaveLength(5);
  await writeFile(join(folder, "package.json"), '{ "name": "a-project", "type": "module" }');
  await run(npm, ["install", "--no-audit", "--no-fund", ...tarballs], { cwd: folder });
});

afterAll(async () => {
  await run(bin("tidebase"), ["db", "stop"], { cwd: folder, env: env() });
  await rm(join(folder, ".."), { recursive: true, force: true });
});

test("the command line migrates the embedded store that it starts, and says where it is", async () => {
  await run(bin("tidebase"), ["migrate"], { cwd: folder, env: env() });
  const { stdout } = await run(bin("tidebase"), ["db", "status", "--json"], {
    cwd: folder,
    env: env(),
  });
  expect(JSON.stringify(JSON.parse(stdout))).toContain("home");
});

test("an installed server records the steps of a program that uses the installed SDK", async () => {
  const server = spawn(bin("tidebase-server"), ["--port", "0"], { cwd: folder, env: env() });
  try {
    const [url] = await untilPrinted(server, /http:\/\/127\.0\.0\.1:\d+/);
    const program = `import { Tidebase } from "@tidebase/sdk";
      const tide = new Tidebase({ url: ${JSON.stringify(url)} });
      const times = [];
      for (let n = 0; n < 2; n++)
        times.push(await tide.run("packed", { idempotencyKey: "once" }, (run) => run.step("now", () => process.hrtime.bigint())));
      console.log(times[0] === times[1] && typeof times[0] === "bigint" ? "the same" : "different");
      await tide.close();`;
    await writeFile(join(folder, "program.js"), program);
    const { stdout } = await run(process.execPath, ["program.js"], { cwd: folder, env: env() });
    expect(stdout.trim()).toBe("the same");
  } finally {
    const ended = new Promise((resolve) => server.once("exit", resolve));
    server.kill("SIGTERM");
    await ended;
  }
});

test("the installed MCP server is found by npx and says the version of its package", async () => {
  const npx = process.platform === "win32" ? "npx.cmd" : "npx";
  const { stdout } = await run(npx, ["--no-install", "tidebase-mcp", "--version"], { cwd: folder });
  const place = join(folder, "node_modules", "@tidebase", "mcp");
  const { version, mcpName } = JSON.parse(await readFile(join(place, "package.json"), "utf8"));
  expect(stdout).toBe(`${version}\n`);
  expect(mcpName).toMatch(/^io\.github\./);
  const files = await readdir(place);
  for (const file of ["README.md", "LICENSE", "THIRD-PARTY.txt", "docs", "migrations"])
    expect(files).toContain(file);
});

test("the installed MCP server answers initialize before it touches the database, within 500 ms warm", async () => {
  let connections = 0;
  const blackHole = createServer((socket) => {
    connections += 1;
    socket.unref();
  }).listen(0, "127.0.0.1");
  await new Promise((resolve) => blackHole.once("listening", resolve));
  const { port } = blackHole.address() as { port: number };
  const database = { TIDEBASE_DATABASE_URL: `postgres://nobody@127.0.0.1:${port}/none` };
  const times: number[] = [];
  for (let n = 0; n < 5; n++) {
    const client = new Client({ name: "test", version: "1.0.0" });
    const started = performance.now();
    const command = {
      command: bin("tidebase-mcp"),
      args: ["--no-http"],
      cwd: folder,
      env: { ...env(), ...database },
    };
    await client.connect(new StdioClientTransport({ ...command, stderr: "ignore" }));
    times.push(performance.now() - started);
    expect(client.getServerVersion()?.name).toBe("tidebase");
    expect((await client.listTools()).tools.length).toBeGreaterThan(5);
    await client.close();
  }
  blackHole.close();
  console.log(`initialize of the installed MCP server, ms: ${times.map(Math.round).join(" ")}`);
  expect(connections).toBe(0);
  expect(Math.min(...times)).toBeLessThan(500);
});

test("the installed MCP server sees what the program recorded", async () => {
  const client = new Client({ name: "test", version: "1.0.0" });
  const command = { command: bin("tidebase-mcp"), args: ["--no-http"], cwd: folder, env: env() };
  await client.connect(new StdioClientTransport({ ...command, stderr: "ignore" }));
  const answer = await client.callTool({
    name: "tidebase_list_runs",
    arguments: { status: ["completed"] },
  });
  expect(JSON.stringify(answer.structuredContent)).toContain("run_");
  await client.close();
});

test("the installed command line brings the skill and the block for assistants along", async () => {
  const project = join(folder, "..", "project");
  await mkdir(project);
  await run(bin("tidebase"), ["init"], { cwd: project, env: env() });
  expect(await readFile(join(project, "AGENTS.md"), "utf8")).toContain("tidebase:begin");
  const skill = join(project, ".claude", "skills", "tidebase");
  expect(await readdir(skill)).toEqual(
    expect.arrayContaining(["SKILL.md", "references", "scripts"]),
  );
});

test("the installed testing kit opens a store, moves its clock and drops it", async () => {
  const program = `import { openTestStore } from "@tidebase/sdk/testing";
    const store = await openTestStore();
    const nap = async (run) => { await run.sleep("nap", "3d"); return "awake"; };
    const { runId } = await store.work(nap);
    await store.clock.advance("3 days");
    console.log((await store.work(nap, { runId })).result);
    await store.close();`;
  await writeFile(join(folder, "kit.js"), program);
  const { stdout } = await run(process.execPath, ["kit.js"], { cwd: folder, env: env() });
  expect(stdout.trim()).toBe("awake");
});

test("the SDK alone needs no server, and its testing kit names the package that it lacks", async () => {
  const packed = join(folder, "..", "packed");
  const tarball = (await readdir(packed)).find((name) => name.startsWith("tidebase-sdk-"));
  const alone = join(folder, "..", "alone");
  await mkdir(alone);
  await writeFile(join(alone, "package.json"), '{ "name": "alone", "type": "module" }');
  const install = ["install", "--no-audit", "--no-fund", join(packed, String(tarball))];
  await run(npm, install, { cwd: alone });
  expect(await readdir(join(alone, "node_modules", "@tidebase"))).toEqual(["sdk"]);
  const program = `import { Tidebase } from "@tidebase/sdk";
    import { openTestStore } from "@tidebase/sdk/testing";
    await new Tidebase().close();
    console.log(await openTestStore().catch(({ code, message }) => code + ": " + message));`;
  await writeFile(join(alone, "program.js"), program);
  const { stdout } = await run(process.execPath, ["program.js"], { cwd: alone });
  expect(stdout).toMatch(/^config_invalid: .*npm install -D @tidebase\/server/);
});
