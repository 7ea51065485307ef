import type { Database } from "../database.ts";
import * as retention from "./sql.ts";

/** The greatest number of days; 0 keeps everything. */
export const RETENTION_DAYS_MAX = 36_500;

/** How long things are kept, as this process was told and as the store knows it. */
interface RetentionDays {
  /** Resolves once the store knows what this process was told; throws while it cannot be told. */
  ready(): Promise<void>;
  /** What the store says; null when it cannot be asked. */
  read(): Promise<number | null>;
  /** Waits for what is under way. */
  stop(): Promise<void>;
}

/**
 * Tells the store at once how long to keep what has ended, when this process was told so (`days`); a process that was
 * not leaves it alone. Whatever deletes waits for `ready`, which tells it again after a failure.
 */
export function openRetentionDays(db: Database, days: number | undefined): RetentionDays {
  if (days !== undefined && !(Number.isInteger(days) && days >= 0 && days <= RETENTION_DAYS_MAX))
    throw new RangeError(`retentionDays must be a whole number from 0 to ${RETENTION_DAYS_MAX}.`);
  let telling: Promise<void> | undefined;

  function ready(): Promise<void> {
    if (days === undefined || db.readOnly) return Promise.resolve();
    telling ??= db.maybe(retention.setDays, { days }).then(
      () => {},
      (failure) => {
        telling = undefined;
        throw failure;
      },
    );
    return telling;
  }

  ready().catch(() => {}); // the store is away, or has no such table yet: the sweep tells it again
  return {
    ready,
    read: async () => {
      const row = await db.maybe(retention.days, {}).catch(() => undefined);
      return row?.days ?? null;
    },
    stop: async () => {
      await telling?.catch(() => {});
    },
  };
}
