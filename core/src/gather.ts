import { isAway } from "./failure.ts";

/** So many are out at once: while one is being committed, the next can be sent. */
const FLIGHTS = 2;
/** One that takes longer waits for somebody's lock: it holds up nobody else. */
const LATE_MS = 50;
const ITEMS_MAX = 1000;

interface Asked<Item, Answer> {
  readonly items: readonly Item[];
  resolve(answers: Answer[]): void;
  reject(error: unknown): void;
}

/**
 * Calls of different callers that arrive while others are out travel together in the next one: one round trip and one
 * commit for all of them. A lone call waits for nothing. Each caller gets the answers to its own items; when a call
 * fails for what one of them says, each is sent alone and fails alone.
 */
export function gather<Item, Answer>(
  send: (items: readonly Item[]) => Promise<readonly Answer[]>,
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
  send: (items: readonly Item[]) => Promise<readonly Answer[]>,
): Promise<void> {
  try {
    const answers = await send(together.flatMap(({ items }) => items));
    let from = 0;
    for (const { items, resolve } of together) {
      resolve(answers.slice(from, from + items.length));
      from += items.length;
    }
  } catch (error) {
    const final = together.length === 1 || isAway(error);
    for (const asked of together) {
      if (final) asked.reject(error);
      else await sendAll([asked], send);
    }
  }
}
