import { notQuarantined } from "../quarantine-sql.ts";
import type { Sweep } from "../reconciler.ts";
import { fragment } from "../statement.ts";
import * as gates from "./sql.ts";

const BATCH = 200;

/** Ends open gates whose time is over; that counts as not approved, and wakes who waits. */
export const expiredGates: Sweep<{ runId: string; gateId: string }> = {
  name: "expired_gates",
  // In the order of its index: else all gates there ever were may be read for one that is due.
  due: fragment`(
      select g.gate_id from tidebase.gates g cross join lateral (
          select from tidebase.runs r where r.run_id = g.run_id and ${notQuarantined("expired_gates")} limit 1) r
       where g.decided_at is null and g.expires_at <= (select tidebase.now()) order by g.expires_at limit 1) is not null`,
  batch: BATCH,
  find: (db) => db.many(gates.expiring, { limit: BATCH }),
  settle: (db, items) => db.batch(gates.expire, items),
};
