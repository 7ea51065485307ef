import { test } from "vitest";
import { useDatabase } from "./support/database.ts";
const db = useDatabase();
test("x", async () => {
  const client = await db.pool.connect();
  await client.query("set plan_cache_mode = force_generic_plan; set enable_seqscan = off");
  // how long with 100,000 delayed runs
  await client.query("insert into tidebase.runs (run_id, workflow, status, queue, run_at, max_attempts, last_seq, max_steps, created_at) select tidebase.new_run_id(), 'w', 'queued', 'late', tidebase.now() + interval '10 minutes', 3, 1, 10, tidebase.now() from generate_series(1, 100000)");
  const { pulseOf } = await import("../src/pulse-sql.ts");
  const { sweepsOf } = await import("../src/core.ts");
  const { deliveries } = await import("../src/pulse-sql.ts");
  const { text, parameters } = pulseOf([...sweepsOf({}), deliveries]);
  await client.query(`prepare p as ${text}`);
  for (const q of ["{none}", "{late}", "{late}"]) {
    const values = parameters.map(({ name }) => (name === "machine" ? "'m'" : name === "queues" ? `'${q}'` : "'{}'"));
    for (let n = 0; n < 3; n++) {
    const t = performance.now();
    await client.query(`execute p (${values.join(",")})`);
    console.log(q, performance.now() - t);
    }
  }
  await client.query("update tidebase.runs set status = 'running', lease_expires_at = tidebase.now() + interval '1 minute', grant_id = gen_random_uuid(), lease_ms = 60000 where run_id in (select run_id from tidebase.runs limit 10000)").catch((e) => console.log(e.message));
    for (let n = 0; n < 3; n++) {
    const t = performance.now();
    await client.query(`execute p (${parameters.map(({ name }) => (name === "machine" ? "'m'" :  "'{}'")).join(",")})`);
    console.log("10,000 running", performance.now() - t);
    }
  client.release(true);
});
