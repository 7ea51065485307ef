import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Mount, type RunningServer, startServer } from "@tidebase/server";
import { afterAll, beforeAll, expect, test } from "vitest";
import { useDatabase } from "../../core/test/support/database.ts";
import { mountMcp } from "../../mcp-server/src/http/mount.ts";
import { mountTools } from "../../mcp-server/src/http/tools-mount.ts";
import { toolsFor } from "../../mcp-server/src/tools/index.ts";
import { fixtureServer } from "../conformance/fixtures.ts";

const db = useDatabase();
const baseline = fileURLToPath(new URL("../conformance/baseline.yml", import.meta.url));
const npx = process.platform === "win32" ? "npx.cmd" : "npx";
const SUITE = "@modelcontextprotocol/conformance@0.2.0-alpha.12";
const REVISION = "2025-11-25";

const servers: RunningServer[] = [];
let results: string;
beforeAll(async () => {
  results = await mkdtemp(join(tmpdir(), "tidebase-conformance-"));
});
afterAll(async () => {
  await Promise.all(servers.map((server) => server.close()));
  await rm(results, { recursive: true, force: true });
});

/** Serves the mount as the product does: the same guard, sessions and transport. */
async function serve(mount: Mount): Promise<string> {
  const server = await startServer({ core: db.core, port: 0, mounts: [mount] });
  servers.push(server);
  return `${server.url}/mcp`;
}

/** What the official suite says of the server there. It needs Node 22, which comes with it from npm. */
function conform(url: string, ...more: string[]): Promise<{ code: number; summary: string }> {
  const packages = ["-p", "node@22", "-p", SUITE];
  const given = ["server", "--url", url, "--requirements", REVISION, "-o", results, ...more];
  const args = ["-y", ...packages, "conformance", ...given];
  return new Promise((resolve) => {
    execFile(npx, args, { maxBuffer: 2 ** 26, cwd: results }, (error, stdout, stderr) => {
      const lines = `${stdout}\n${stderr}`.split("\n").map((line) => line.slice(0, 200));
      const code = error === null ? 0 : Number(error.code ?? 1);
      resolve({ code, summary: lines.slice(-60).join("\n") });
    });
  });
}

test("the transport passes every requirement of the revision with the suite's own fixtures", async () => {
  const url = await serve(mountMcp({ serve: fixtureServer }));
  const { code, summary } = await conform(url);
  console.log(summary);
  expect(code, summary).toBe(0);
});

test("the product's tools fail what asks for the suite's fixtures, and nothing else", async () => {
  const store = {
    ...({ kind: "remote", foundBy: "TIDEBASE_DATABASE_URL", description: "a test" } as const),
    ...({ access: "read_write", accessReason: "A test.", passedOver: false } as const),
    pageBase: undefined,
  };
  const tools = toolsFor({ readOnly: false });
  const url = await serve(mountTools({ core: db.core, store, tools, version: "0.0.0" }));
  const { code, summary } = await conform(url, "--expected-failures", baseline);
  console.log(summary);
  expect(code, summary).toBe(0);
});
