import { existsSync, mkdirSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { expect, test } from "vitest";
import { CLIENTS } from "../../mcp-server/src/install/clients.ts";
import { MCP_CLIENTS } from "../src/init/mcp.ts";
import { runProgram, useFolder } from "./support/program.ts";

const folder = useFolder();
/** Loads TypeScript, and packages from their source, in whichever program is found. */
const TSX = pathToFileURL(createRequire(import.meta.url).resolve("tsx")).href;
const MAIN = new URL("../../mcp-server/src/main.ts", import.meta.url).href;

/** A project in which @tidebase/mcp is installed: its program is the one of this repository, from its source. */
function projectWithMcp(): string {
  const project = mkdtempSync(join(folder, "project-"));
  const place = join(project, "node_modules", "@tidebase", "mcp");
  mkdirSync(place, { recursive: true });
  const manifest = { name: "@tidebase/mcp", type: "module", bin: { "tidebase-mcp": "main.js" } };
  writeFileSync(join(place, "package.json"), JSON.stringify(manifest));
  writeFileSync(join(place, "main.js"), `await import(${JSON.stringify(MAIN)});\n`);
  return project;
}

test("--mcp has the installer put the server into each client's file, and takes it out again", async () => {
  const project = projectWithMcp();
  const env = { NODE_OPTIONS: `--conditions=tidebase-source --import=${TSX}` };
  const init = (...args: string[]) => runProgram(project, ["init", "--no-skill", ...args], env);
  const dry = await init("--dry-run", "--mcp", "cursor");
  expect(dry).toMatchObject({ code: 0, stdout: expect.stringContaining("mcpServers") });
  expect(existsSync(join(project, ".cursor"))).toBe(false);
  const done = await init("--mcp", "cursor", "--mcp", "vscode", "--json");
  expect(done).toMatchObject({ code: 0, stderr: "" });
  const { files, mcp } = JSON.parse(done.stdout);
  expect(files).toMatchObject([{ file: "AGENTS.md", change: "create" }]);
  expect(mcp).toMatchObject([
    { client: "cursor", exitCode: 0, report: { change: "add", written: true } },
    { client: "vscode", exitCode: 0, report: { change: "add", written: true } },
  ]);
  const file = JSON.parse(readFileSync(join(project, ".cursor", "mcp.json"), "utf8"));
  expect(file.mcpServers.tidebase).toMatchObject({ command: expect.any(String) });
  const removed = await init("--remove", "--mcp", "cursor");
  expect(removed).toMatchObject({ code: 0, stdout: expect.stringContaining("taken out of") });
});

test("the installer's refusal is passed on, with its exit code", async () => {
  const project = projectWithMcp();
  const env = { NODE_OPTIONS: `--conditions=tidebase-source --import=${TSX}` };
  mkdirSync(join(project, ".cursor"));
  writeFileSync(join(project, ".cursor", "mcp.json"), "{");
  const refused = await runProgram(project, ["init", "--no-skill", "--mcp", "cursor"], env);
  expect(refused).toMatchObject({ code: 1, stderr: expect.stringContaining("mcp.json") });
  expect(refused.stderr).not.toContain("\\n");
});

test("a client that the installer does not know is refused before anything is written", async () => {
  expect(MCP_CLIENTS).toEqual(CLIENTS.map(({ id }) => id));
  const project = projectWithMcp();
  const refused = await runProgram(project, ["init", "--no-skill", "--mcp", "curser"]);
  expect(refused).toMatchObject({
    code: 2,
    stderr: expect.stringContaining("claude-code, cursor"),
  });
  expect(refused.stderr).toMatch(/--mcp: "curser" is no client that is known/);
  expect(existsSync(join(project, "AGENTS.md"))).toBe(false);
});
