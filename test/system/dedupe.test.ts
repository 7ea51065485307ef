import type { Scope } from "@tidebase/core";
import { afterAll, expect, test } from "vitest";
import { completing, newGrant, useDatabase } from "../../core/test/support/database.ts";
import { type Caller, callerAt } from "../support/callers.ts";
import { type ServerProcess, startServerProcess } from "../support/servers.ts";

const db = useDatabase();
const servers: ServerProcess[] = [];
afterAll(() => Promise.all(servers.map((server) => server.stop())));
const KEYS = 500;
const RACERS = 50;
const HOLDERS = 4;

interface Result {
  readonly runId: string;
  readonly outcome: string;
}

/** Claims and ends what is queued, one way or another, until told to stop. */
async function holder(call: Caller, signal: AbortSignal): Promise<number> {
  let ended = 0;
  for (let turn = 0; !signal.aborted; turn++) {
    const grantId = newGrant();
    const claimed = await call("queues.claim", { queue: "races", grantId, limit: 3, waitMs: 200 });
    for (const { runId, epoch } of claimed["runs"] as { runId: string; epoch: number }[]) {
      const lease = { runId, epoch, grantId };
      if (turn % 3 === 0) await call("runs.fail", { ...lease, error: { message: "no" } });
      else if (turn % 3 === 1) await completing(call)(lease);
      else await db.call("runs.cancel", { runId });
      ended += 1;
    }
  }
  return ended;
}

test("500 dedupe keys, 50 racing enqueues each, holders that end meanwhile: never two active, everybody gets a run", async () => {
  servers.push(await startServerProcess(db.url), await startServerProcess(db.url));
  const scopes: Scope[] = ["read", "work", "enqueue"];
  const callers = await Promise.all(servers.map(({ url }) => callerAt(db, url, scopes)));
  const at = (n: number) => callers[n % 2] as Caller;
  const stopping = new AbortController();
  const holders = Array.from({ length: HOLDERS }, (_, n) => holder(at(n), stopping.signal));

  for (let k = 0; k < KEYS; k++) {
    const item = { workflow: "w", queue: "races", dedupeKey: `key ${k}`, maxAttempts: 1 };
    const results = await Promise.all(
      Array.from({ length: RACERS }, async (_, n) => {
        const answer = await at(n)("runs.enqueue", { items: [item] });
        return (answer["results"] as Result[])[0];
      }),
    );
    for (const result of results) {
      expect(result?.runId).toMatch(/^run_/);
      expect(["created", "deduplicated"]).toContain(result?.outcome);
    }
    const created = results.filter((result) => result?.outcome === "created");
    expect(created.length).toBeGreaterThan(0);
    const known = await db.pool.query(
      "select count(*)::int as n from tidebase.runs where run_id = any ($1)",
      [results.map((result) => result?.runId.slice(4))],
    );
    expect(known.rows[0].n).toBe(new Set(results.map((result) => result?.runId)).size);
  }
  stopping.abort();
  const ended = (await Promise.all(holders)).reduce((sum, n) => sum + n, 0);
  expect(ended).toBeGreaterThan(KEYS); // the holders did end while others raced

  // From the log: a run is active from its first event until its last; no two of one key overlap.
  const { rows } = await db.pool.query(`
    with span as (
      select r.dedupe_key, r.run_id, min(e.at) as born, case when r.status in ('completed', 'cancelled', 'failed')
          then max(e.at) else 'infinity' end as gone
        from tidebase.runs r join tidebase.events e using (run_id) where r.queue = 'races' group by 1, 2, r.status
    )
    select count(*)::int as n from span a join span b on a.dedupe_key = b.dedupe_key and a.run_id < b.run_id
     where a.born < b.gone and b.born < a.gone`);
  expect(rows).toEqual([{ n: 0 }]);
});
