import type { Sweep } from "../reconciler.ts";
import { fragment } from "../statement.ts";
import * as gates from "./sql.ts";

const BATCH = 200;

/** Ends open gates whose time is over; that counts as not approved, and wakes who waits. */
export const expiredGates: Sweep<{ runId: string; gateId: string }> = {
  name: "expired_gates",
  due: fragment`exists (
      select from tidebase.gates where decided_at is null and expires_at <= (select tidebase.now()))`,
  batch: BATCH,
  find: (db) => db.many(gates.expiring, { limit: BATCH }),
  settle: (db, items) => db.batch(gates.expire, items),
};
