import { cancelRun, getRun, openCore, overview } from "@tidebase/core";
import { expect, test } from "vitest";
import { local, untilBlocked, useDatabase } from "../../core/test/support/database.ts";
import { shareCore } from "../src/api/shared-core.ts";

const db = useDatabase();
const open = () => openCore({ databaseUrl: db.url, sweeps: false });

/** So many of this database's clients are connected besides the test's own. */
async function clients(): Promise<number> {
  const text = `select count(*)::int as count from pg_stat_activity
    where datname = current_database() and application_name = 'tidebase'`;
  return (await db.pool.query<{ count: number }>(text)).rows[0]?.count ?? 0;
}

test("a call under way ends on the core it began on, which is closed then; the next goes to the new one", async () => {
  const runId = await db.pending();
  const before = await clients();
  const { backend, exchange } = shareCore(open(), local);
  const release = await db.hold(runId);
  const cancelling = backend.execute(cancelRun, { runId });
  await untilBlocked(db.pool, "runs.cancel");
  exchange(open());
  expect(await backend.execute(overview, {})).toMatchObject({ openGates: 0 });
  expect(await clients()).toBe(before + 2);
  await release();
  expect(await cancelling).toMatchObject({ status: "cancelled" });
  await expect.poll(clients).toBe(before + 1);
  expect(await backend.execute(getRun, { runId })).toMatchObject({ run: { status: "cancelled" } });
  await Promise.all([backend.close(), backend.close()]);
  await expect.poll(clients).toBe(before);
});
