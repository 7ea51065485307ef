import type { Database } from "./database.ts";
import { faultOf, isAway } from "./failure.ts";
import { quarantine, type SweepName } from "./quarantine-sql.ts";

/** A claim of many rows in one statement, which fails as a whole where one of them cannot be claimed. */
export interface Claiming<Item extends { runId: string }, Row> {
  /** Under which name a row that cannot be claimed is set aside; `claim` leaves it out from then on. */
  readonly sweep: SweepName;
  /** Claims; of `only` alone where they are given. Of none of them: all that a claim does besides. */
  claim(only?: readonly Item[]): Promise<Row[]>;
  /** Whom `claim` would take now. */
  toClaim(): Promise<readonly Item[]>;
}

/** So many in a row are not at fault: something they share is. */
const ROUNDS_MAX = 20;

/**
 * What was claimed. Where that fails, half of the rows are tried, and half of those that fail, until some can be
 * claimed or one is known to be at fault: it is set aside, and the others go on. What is no row's fault is thrown.
 */
export async function claimBesides<Item extends { runId: string }, Row>(
  db: Database,
  claiming: Claiming<Item, Row>,
): Promise<Row[]> {
  for (let round = 1; ; round++)
    try {
      return await claiming.claim();
    } catch (failure) {
      if (isAway(failure) || round === ROUNDS_MAX) throw failure;
      await claiming.claim([]); // fails too where no row is at fault
      const claimed = await halve(db, claiming, await claiming.toClaim());
      if (claimed.length > 0) return claimed;
    }
}

async function halve<Item extends { runId: string }, Row>(
  db: Database,
  claiming: Claiming<Item, Row>,
  items: readonly Item[],
): Promise<Row[]> {
  const [item, ...others] = items;
  if (item === undefined) return [];
  try {
    return await claiming.claim(items);
  } catch (failure) {
    if (isAway(failure)) throw failure;
    if (others.length === 0) await setAside(db, claiming.sweep, item, failure);
    else {
      const middle = items.length >> 1;
      const claimed = await halve(db, claiming, items.slice(0, middle));
      return claimed.length > 0 ? claimed : await halve(db, claiming, items.slice(middle));
    }
    return [];
  }
}

async function setAside(
  db: Database,
  sweep: SweepName,
  item: { runId: string },
  failure: unknown,
): Promise<void> {
  const counted = { ...item, sweep, message: faultOf(failure) };
  try {
    await db.maybe(quarantine, counted);
  } catch (refused) {
    if (isAway(refused)) throw refused;
    await db.maybe(quarantine, { ...counted, untold: true }); // a run that cannot even be told of
  }
}
