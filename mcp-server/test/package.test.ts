import { execFile } from "node:child_process";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import pg from "pg";
import { afterAll, beforeAll, expect, inject, test } from "vitest";
import { startAgent } from "./support.ts";

const run = promisify(execFile);
const source = fileURLToPath(new URL("../", import.meta.url));
const database = `tidebase_packed_${process.pid}`;
let folder = "";

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "tidebase-packed-"));
  await run("npm", ["pack", "--pack-destination", folder], { cwd: source });
  const place = join(folder, "node_modules/@tidebase/mcp");
  await mkdir(place, { recursive: true });
  const [tarball] = await tarballs();
  await run("tar", ["-xzf", join(folder, tarball ?? ""), "-C", place, "--strip-components=1"]);
  await administer(`create database ${database}`);
}, 60_000);

afterAll(async () => {
  await administer(`drop database if exists ${database} with (force)`);
  await rm(folder, { recursive: true, force: true });
});

test("the packed program runs alone, migrates an empty database and answers", async () => {
  const main = join(folder, "node_modules/@tidebase/mcp/dist/main.js");
  const url = Object.assign(new URL(inject("adminUrl")), { pathname: database }).href;
  const agent = await startAgent({ TIDEBASE_DATABASE_URL: url }, [main]);
  expect(await agent.call("tidebase_overview")).toMatchObject({
    access: "read_write",
    counts: {},
    hints: expect.arrayContaining([expect.stringContaining("No run is here")]),
  });
  await agent.close();
});

async function tarballs(): Promise<string[]> {
  const { stdout } = await run("ls", [folder]);
  return stdout.split("\n").filter((name) => name.endsWith(".tgz"));
}

async function administer(text: string): Promise<void> {
  const client = new pg.Client(inject("adminUrl"));
  await client.connect();
  await client.query(text);
  await client.end();
}
