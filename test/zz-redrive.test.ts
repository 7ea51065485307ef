import { expect, test } from "vitest";
import { useDatabase } from "../core/test/support/database.ts";
import { runInside, useFolder } from "../cli/test/support/program.ts";
const db = useDatabase();
const folder = useFolder();
test("redrive many", async () => {
  const item = { workflow: "w", queue: "q" };
  for (const n of [1000, 1000, 300]) await db.call("runs.enqueue", { items: Array.from({ length: n }, () => item) });
  await db.pool.query("update tidebase.runs set status = 'failed', failure_class='max_attempts', ended_at = tidebase.now()");
  const t = performance.now();
  const done = await runInside(folder, ["queues", "redrive", "q", "--yes"], { TIDEBASE_DATABASE_URL: db.url });
  console.log(performance.now() - t, done);
  expect(done.code).toBe(0);
}, 60000);
