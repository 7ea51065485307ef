import { type Core, type CoreStatus, TidebaseError } from "@tidebase/core";

/** An answer is shown again for this long, so that probes cost the database next to nothing. */
const FRESH_MS = 1000;

/** The answer of a server that can do its work. */
export interface Readiness extends CoreStatus {
  readonly ready: true;
  /** Which store this is and how it was found. */
  readonly store?: string;
}

/**
 * Asks whether the server can do its work. Throws `store_unavailable` with what it lacks when the
 * database does not answer, migrations are missing, or the server is stopping.
 */
export function readiness(
  core: Core,
  store: string | undefined,
  stopping: AbortSignal | undefined,
): () => Promise<Readiness> {
  let last: { status: Promise<CoreStatus>; at: number } | undefined;
  return async () => {
    const now = performance.now();
    if (last === undefined || last.at + FRESH_MS < now) last = { status: core.status(), at: now };
    const status = await last.status;
    const { database, migrations } = status;
    const stops = stopping?.aborted === true;
    if (stops || !database.reachable || migrations.pending.length > 0)
      throw new TidebaseError("store_unavailable", {
        ready: false,
        stopping: stops,
        database,
        migrations,
      });
    return { ready: true, ...status, ...(store === undefined ? {} : { store }) };
  };
}
