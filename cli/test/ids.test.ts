import { expect, test } from "vitest";
import { useDatabase } from "../../core/test/support/database.ts";
import { runInside, useFolder } from "./support/program.ts";

const db = useDatabase();
const folder = useFolder();

/** What is left for a shell's `$(…)`. */
async function printed(...args: string[]): Promise<string> {
  const { code, stdout } = await runInside(folder, args, { TIDEBASE_DATABASE_URL: db.url });
  expect(code).toBe(0);
  return stdout;
}

test("--ids prints the ids of a list and nothing else, newest runs and oldest gates first", async () => {
  expect(await printed("runs", "list", "--ids")).toBe("");
  const [older, newer] = [await db.begun(), await db.begun()];
  const gates = [await db.gate(older), await db.gate(newer)].map(({ gateId }) => gateId);
  const { webhookId } = await db.channel("ops");

  expect(await printed("runs", "list", "--ids")).toBe(`${newer.runId}\n${older.runId}\n`);
  expect(await printed("runs", "list", "--limit", "1", "--ids")).toBe(`${newer.runId}\n`);
  expect(await printed("gates", "list", "--ids")).toBe(`${gates.join("\n")}\n`);
  expect(await printed("webhooks", "list", "--ids")).toBe(`${webhookId}\n`);
});
