import { TidebaseError } from "./errors.ts";
import { isAway } from "./failure.ts";

/** So many are out at once: while one is being committed, the next can be sent. */
const FLIGHTS = 2;
/** One that takes longer waits for somebody's lock: it holds up nobody else. */
const LATE_MS = 50;
const ITEMS_MAX = 1000;
/** A call of which one item is locked is asked again in so many pieces. */
const PIECES = 16;

type Send<Item, Answer> = (items: readonly Item[]) => Promise<readonly Answer[]>;

interface Asked<Item, Answer> {
  readonly items: readonly Item[];
  resolve(answers: Answer[]): void;
  reject(error: unknown): void;
}

/**
 * Calls of different callers that arrive while others are out travel together in the next one: one round trip and one
 * commit for all of them. A lone call waits for nothing. Each caller gets the answers to its own items; when a call
 * fails for what one of them says, or gives up waiting for a run that is locked, each is sent alone.
 */
export function gather<Item, Answer>(
  send: Send<Item, Answer>,
): (items: readonly Item[]) => Promise<Answer[]> {
  /** When each was sent, by `performance.now()`; the late ones are not among them. */
  const flights = new Set<{ readonly since: number }>();
  let waiting: Asked<Item, Answer>[] = [];
  let clock: NodeJS.Timeout | undefined;

  function depart(): void {
    while (flights.size < FLIGHTS && waiting.length > 0) {
      const together = waiting.slice(0, fitting(waiting));
      waiting = waiting.slice(together.length);
      void fly(together);
    }
    if (waiting.length > 0 && clock === undefined) clock = setTimeout(leaveLate, LATE_MS);
  }

  async function fly(together: readonly Asked<Item, Answer>[]): Promise<void> {
    const flight = { since: performance.now() };
    flights.add(flight);
    await sendAll(together, send);
    flights.delete(flight);
    depart();
  }

  function leaveLate(): void {
    clock = undefined;
    const due = performance.now() - LATE_MS + 1;
    for (const flight of flights) if (flight.since <= due) flights.delete(flight);
    depart();
  }

  return (items) =>
    new Promise((resolve, reject) => {
      waiting.push({ items, resolve, reject });
      depart();
    });
}

/** How many of the calls go together: at least one. */
function fitting(waiting: readonly { readonly items: readonly unknown[] }[]): number {
  let items = 0;
  let count = 0;
  for (const asked of waiting) {
    items += asked.items.length;
    if (count > 0 && items > ITEMS_MAX) break;
    count += 1;
  }
  return count;
}

async function sendAll<Item, Answer>(
  together: readonly Asked<Item, Answer>[],
  send: Send<Item, Answer>,
): Promise<void> {
  try {
    const answers = await send(together.flatMap(({ items }) => items));
    let from = 0;
    for (const { items, resolve } of together) {
      resolve(answers.slice(from, from + items.length));
      from += items.length;
    }
  } catch (error) {
    const isLone = together.length === 1;
    const isFinal = !isBusy(error) && (isLone || isAway(error));
    const way = isLone ? apart : orApart;
    await Promise.all(
      together.map((asked) => (isFinal ? asked.reject(error) : settle(asked, way, send))),
    );
  }
}

async function settle<Item, Answer>(
  { items, resolve, reject }: Asked<Item, Answer>,
  way: (items: readonly Item[], send: Send<Item, Answer>) => Promise<Answer[]>,
  send: Send<Item, Answer>,
): Promise<void> {
  try {
    resolve(await way(items, send));
  } catch (error) {
    reject(error);
  }
}

/** All at once; where one of them is locked, apart. */
async function orApart<Item, Answer>(
  items: readonly Item[],
  send: Send<Item, Answer>,
): Promise<Answer[]> {
  try {
    return [...(await send(items))];
  } catch (error) {
    if (!isBusy(error) || items.length === 1) throw error;
    return apart(items, send);
  }
}

/** In some pieces at the same time: the one whose run is locked waits, the others do not. */
async function apart<Item, Answer>(
  items: readonly Item[],
  send: Send<Item, Answer>,
): Promise<Answer[]> {
  const size = Math.ceil(items.length / PIECES);
  const starts = Array.from({ length: Math.ceil(items.length / size) }, (_, n) => n * size);
  const pieces = starts.map((start) => orApart(items.slice(start, start + size), send));
  return (await Promise.all(pieces)).flat();
}

function isBusy(error: unknown): boolean {
  return error instanceof TidebaseError && error.code === "store_busy";
}
