import { existsSync } from "node:fs";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import type { TestProject } from "vitest/node";
import { packageOf } from "../../../scripts/postgres-package.ts";
import { ensureCluster, stopCluster } from "../../src/embedded/cluster.ts";
import { migrate } from "../../src/migrate.ts";

declare module "vitest" {
  interface ProvidedContext {
    adminUrl: string;
    template: string;
  }
}

interface Server {
  readonly url: string;
  stop(): Promise<void>;
}

const PREFIX = "tidebase-test-";

/**
 * One migrated template database for all test files: on the server named by
 * TIDEBASE_TEST_DATABASE_URL, else on one that lives as long as the run, of the major version named by
 * TIDEBASE_TEST_POSTGRES.
 */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const given = process.env["TIDEBASE_TEST_DATABASE_URL"];
  const server = given === undefined ? await startServer() : { url: given, stop: async () => {} };
  const template = `tidebase_test_template_${process.pid}`;
  await query(server.url, `drop database if exists ${template}`);
  await query(server.url, `create database ${template}`);
  await migrate({ databaseUrl: atDatabase(server.url, template) });
  project.provide("adminUrl", server.url);
  project.provide("template", template);
  return async () => {
    await query(server.url, `drop database ${template} with (force)`);
    await server.stop();
  };
}

/** Nothing here needs to survive a power cut. */
async function startServer(): Promise<Server> {
  await reapLeftovers();
  const major = process.env["TIDEBASE_TEST_POSTGRES"];
  const place = major === undefined ? {} : { binaries: await packageOf(major) };
  const home = await mkdtemp(join(tmpdir(), `${PREFIX}${process.pid}-`));
  const settings = { fsync: "off", full_page_writes: "off", synchronous_commit: "off" };
  const cluster = await ensureCluster({ home, ...place, settings });
  return {
    url: atDatabase(cluster.url, "postgres"),
    stop: async () => {
      await stopCluster({ home, ...place });
      await rm(home, { recursive: true, force: true });
    },
  };
}

/** Servers and folders of test runs that were killed. */
async function reapLeftovers(): Promise<void> {
  for (const name of await readdir(tmpdir())) {
    const pid = Number(new RegExp(`^${PREFIX}(\\d+)-`).exec(name)?.[1]);
    if (Number.isNaN(pid) || isAlive(pid)) continue;
    const home = join(tmpdir(), name);
    for (const file of await readdir(home).catch(() => [])) {
      const major = /^pg(\d+)$/.exec(file)?.[1];
      if (major === undefined || !existsSync(join(home, file, "postmaster.pid"))) continue;
      await stopCluster({ home, binaries: await packageOf(major) }).catch(() => {});
    }
    await rm(home, { recursive: true, force: true }).catch(() => {});
  }
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

function atDatabase(url: string, name: string): string {
  return Object.assign(new URL(url), { pathname: name }).href;
}

async function query(url: string, text: string): Promise<void> {
  const client = new pg.Client(url);
  await client.connect();
  await client.query(text);
  await client.end();
}
