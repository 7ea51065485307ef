import { notQuarantined } from "../quarantine-sql.ts";
import type { Sweep } from "../reconciler.ts";
import { fragment } from "../statement.ts";
import { settle, stale } from "./sql.ts";

interface Stale {
  readonly deliveryId: string;
  readonly runId: string;
  readonly attempts: number;
}

const BATCH = 50;

/** Gives up what a disabled webhook did not get within its day: nobody would ever claim it. */
export const staleDeliveries: Sweep<Stale> = {
  name: "stale_deliveries",
  due: fragment`exists (
      select from tidebase.webhooks w cross join lateral (
          select run_id from tidebase.deliveries
           where webhook_id = w.webhook_id and status = 'pending' and expires_at <= (select tidebase.now()) offset 0) d
        cross join lateral (
          select from tidebase.runs r where r.run_id = d.run_id and ${notQuarantined("stale_deliveries")} limit 1) r
       where w.disabled_at is not null)`,
  batch: BATCH,
  find: (db) => db.many(stale, { limit: BATCH }),
  async settle(db, items) {
    const outcomes: { outcome: string }[] = [];
    for (const item of items) {
      const given = { ...item, verdict: "failed" as const, gone: false, pauseMs: 0 };
      const settled = await db.maybe(settle, { ...given, reason: "webhook_disabled" });
      outcomes.push({ outcome: settled === undefined ? "moved" : settled.status });
    }
    return outcomes;
  },
};
