import type { Database } from "./database.ts";
import { faultOf, isAway } from "./failure.ts";
import type { Look, Probe } from "./pulse.ts";
import { quarantine, type SweepName } from "./quarantine-sql.ts";
import type { Fragment } from "./statement.ts";
import { runsTouched } from "./touched.ts";

/**
 * Settles what nobody else will: one kind of row, found without a lock and settled in batches that
 * re-check on the locked row. Two processes that sweep at once are harmless.
 */
export interface Sweep<Item extends object = { runId: string }> {
  readonly name: SweepName;
  /**
   * Whether there may be something to settle: an index probe, asked by every idle process once a second
   * (`$machine` is this one). It may say so in vain; a row that is set aside may keep it raised.
   */
  readonly due: Fragment;
  /** At most this many rows at a time; a full batch that settled some is followed by another at once. */
  readonly batch: number;
  /** Told of every look at the store, whether it was reached. */
  reached?(isReached: boolean): void;
  find(db: Database): Promise<Item[]>;
  /** One outcome for each item; `moved` when somebody else was faster. */
  settle(db: Database, items: Item[]): Promise<readonly Settled[]>;
  /** Counts a failure of the item, for items that are no runs: it must not be found for ever. */
  setAside?(db: Database, item: Item, message: string): Promise<void>;
}

/** What became of an item, and the runs besides its own that have new events by it. */
interface Settled {
  readonly outcome: string;
  readonly runIds?: readonly string[];
}

/** What `/ready` tells of a sweep. */
export interface SweepStatus {
  readonly name: string;
  /** When it last had nothing to do, or was done with it. */
  readonly lastRunAt: string | null;
  readonly settled: number;
  readonly lastError: string | null;
}

/** A sweep whose own type of item does not matter. */
export type AnySweep = Sweep<object>;

const UNSETTLED = ["moved", "input_refused"];

/** The sweeps of one process. */
interface Sweeps {
  readonly probes: readonly Probe[];
  status(): SweepStatus[];
  /** Rounds of all of them now, until nobody settles anything more. Throws what kept one from it. */
  settle(): Promise<void>;
  /** Waits for the rounds under way. */
  stop(): Promise<void>;
}

/** Runs each sweep when the pulse says that it has something to do. */
export function openSweeps(
  db: Database,
  sweeps: readonly AnySweep[],
  touched: (runIds: string[]) => void,
): Sweeps {
  const opened = sweeps.map((sweep) => openSweep(db, sweep, touched));
  const status = () => opened.map((sweep) => sweep.status());
  const settled = () => status().reduce((sum, sweep) => sum + sweep.settled, 0);
  return {
    probes: opened,
    status,
    async settle() {
      for (let before = -1; before !== settled(); ) {
        before = settled();
        await Promise.all(opened.map(({ look }) => look()));
        const failed = status().find(({ lastError }) => lastError !== null);
        if (failed !== undefined) throw new Error(`${failed.name}: ${failed.lastError}`);
      }
    },
    stop: async () => {
      await Promise.all(opened.map(({ stop }) => stop()));
    },
  };
}

function openSweep(
  db: Database,
  sweep: AnySweep,
  touched: (runIds: string[]) => void,
): Probe & { status(): SweepStatus; look(): Promise<void>; stop(): Promise<void> } {
  const { name, due } = sweep;
  let status: SweepStatus = { name, lastRunAt: null, settled: 0, lastError: null };
  let stopped = false;
  let round: Promise<void> | undefined;

  async function once(): Promise<void> {
    for (let more = true; more && !stopped; ) {
      const items = await sweep.find(db);
      const changed = new Set(runsTouched({ items }, undefined));
      const settled = items.length === 0 ? 0 : await settle(db, sweep, items, changed);
      touched([...changed]);
      status = { ...status, settled: status.settled + settled };
      more = items.length >= sweep.batch && settled > 0;
    }
  }

  function ran(lastError: string | null): void {
    status = { ...status, lastRunAt: new Date().toISOString(), lastError };
  }

  function told({ isReached, isDue, error }: Look): void {
    sweep.reached?.(isReached);
    if (round !== undefined || stopped) return;
    if (isDue) start(error);
    else ran(error);
  }

  function start(error: string | null): void {
    round = once()
      .then(
        () => ran(error),
        (failure) => ran(failure instanceof Error ? failure.message : String(failure)),
      )
      .finally(() => {
        round = undefined;
      });
  }

  return {
    name,
    due,
    told,
    status: () => status,
    look: async () => {
      await round; // begun before, it may not have seen what the caller has done
      told({ isReached: true, isDue: true, error: null });
      await round;
    },
    stop: async () => {
      stopped = true;
      await round;
    },
  };
}

/**
 * How many rows were settled; `changed` is given the runs that changed by it. A batch that throws is
 * repeated row by row; a row that fails five times is left alone.
 */
async function settle(
  db: Database,
  sweep: AnySweep,
  items: object[],
  changed: Set<string>,
): Promise<number> {
  try {
    const answers = await sweep.settle(db, items);
    for (const runId of answers.flatMap(({ runIds = [] }) => runIds)) changed.add(runId);
    for (const [index, item] of items.entries())
      if (answers[index]?.outcome === "input_refused") await setAside(db, sweep, item, "refused");
    return answers.filter(({ outcome }) => !UNSETTLED.includes(outcome)).length;
  } catch (failure) {
    if (isAway(failure)) throw failure;
    const [item, ...others] = items;
    let settled = 0;
    if (others.length > 0)
      for (const one of items) settled += await settle(db, sweep, [one], changed);
    else if (item !== undefined) await setAside(db, sweep, item, faultOf(failure));
    return settled;
  }
}

async function setAside(
  db: Database,
  sweep: AnySweep,
  item: object,
  message: string,
): Promise<void> {
  if (sweep.setAside !== undefined) await sweep.setAside(db, item, message);
  else if ("runId" in item)
    await db.maybe(quarantine, { sweep: sweep.name, runId: String(item.runId), message });
}
