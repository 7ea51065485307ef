import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import { afterAll } from "vitest";
import { stopCluster } from "../../src/embedded/cluster.ts";

/** Folders for embedded clusters, which end with the test file. Spaces and letters are no obstacle. */
export function useHomes(): () => Promise<string> {
  const homes: string[] = [];
  afterAll(async () => {
    for (const home of homes) {
      await stopCluster({ home });
      await rm(home, { recursive: true, force: true });
    }
  });
  return async () => {
    const home = await mkdtemp(join(tmpdir(), `tidebase-test-${process.pid}-şah é 日本 `));
    homes.push(home);
    return home;
  };
}

/** The first row of what the server at this URL answers. */
export async function ask(url: string, text: string): Promise<Record<string, unknown>> {
  const client = new pg.Client(url);
  await client.connect();
  try {
    return (await client.query(text)).rows[0] ?? {};
  } finally {
    await client.end();
  }
}
