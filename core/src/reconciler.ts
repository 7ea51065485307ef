import type { Database } from "./database.ts";
import { TidebaseError } from "./errors.ts";
import { quarantine, type SweepName } from "./quarantine-sql.ts";

/**
 * Settles what nobody else will: one kind of row, found without a lock and settled in batches that
 * re-check on the locked row. Two processes that sweep at once are harmless.
 */
export interface Sweep<Item extends { runId: string } = { runId: string }> {
  readonly name: SweepName;
  /** At most this many rows at a time; a full batch that settled some is followed by another at once. */
  readonly batch: number;
  find(db: Database): Promise<Item[]>;
  /** One outcome for each item; `moved` when somebody else was faster. */
  settle(db: Database, items: Item[]): Promise<readonly { outcome: string }[]>;
}

/** What `/ready` tells of a sweep. */
export interface SweepStatus {
  readonly name: string;
  readonly lastRunAt: string | null;
  readonly settled: number;
  readonly lastError: string | null;
}

const UNSETTLED = ["moved", "input_refused"];

/** Runs each sweep on its own timer; `stop` waits for the rounds under way. */
export function startSweeps(
  db: Database,
  sweeps: readonly Sweep[],
  everyMs: number,
  touched: (runIds: string[]) => void,
): { status(): SweepStatus[]; stop(): Promise<void> } {
  const running = sweeps.map((sweep) => startSweep(db, sweep, everyMs, touched));
  return {
    status: () => running.map(({ status }) => status()),
    stop: async () => {
      await Promise.all(running.map(({ stop }) => stop()));
    },
  };
}

function startSweep(
  db: Database,
  sweep: Sweep,
  everyMs: number,
  touched: (runIds: string[]) => void,
): { status(): SweepStatus; stop(): Promise<void> } {
  let status: SweepStatus = { name: sweep.name, lastRunAt: null, settled: 0, lastError: null };
  let stopped = false;
  let timer: NodeJS.Timeout | undefined;
  let round = Promise.resolve();

  async function once(): Promise<void> {
    let lastError: string | null = null;
    try {
      for (let more = true; more && !stopped; ) {
        const items = await sweep.find(db);
        const settled = items.length === 0 ? 0 : await settle(db, sweep, items);
        touched(items.map(({ runId }) => runId));
        status = { ...status, settled: status.settled + settled };
        more = items.length >= sweep.batch && settled > 0;
      }
    } catch (error) {
      lastError = error instanceof Error ? error.message : String(error);
    }
    status = { ...status, lastRunAt: new Date().toISOString(), lastError };
    if (!stopped) timer = setTimeout(tick, everyMs * (0.9 + Math.random() * 0.2)).unref();
  }
  function tick(): void {
    round = once();
  }
  timer = setTimeout(tick, Math.random() * everyMs).unref();
  return {
    status: () => status,
    stop: async () => {
      stopped = true;
      clearTimeout(timer);
      await round;
    },
  };
}

/**
 * How many rows were settled. A batch that throws is repeated row by row; a row that fails five times
 * is left alone.
 */
async function settle(db: Database, sweep: Sweep, items: { runId: string }[]): Promise<number> {
  try {
    const answers = await sweep.settle(db, items);
    for (const [index, item] of items.entries())
      if (answers[index]?.outcome === "input_refused") await setAside(db, sweep, item, "refused");
    return answers.filter(({ outcome }) => !UNSETTLED.includes(outcome)).length;
  } catch (failure) {
    if (failure instanceof TidebaseError) throw failure; // the database is away, no row is at fault
    const [item, ...others] = items;
    const message = failure instanceof Error ? failure.message.slice(0, 500) : "unknown";
    let settled = 0;
    if (others.length > 0) for (const one of items) settled += await settle(db, sweep, [one]);
    else if (item !== undefined) await setAside(db, sweep, item, message);
    return settled;
  }
}

async function setAside(
  db: Database,
  { name }: Sweep,
  { runId }: { runId: string },
  message: string,
): Promise<void> {
  await db.maybe(quarantine, { sweep: name, runId, message });
}
