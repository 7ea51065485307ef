import { isTidebaseError, TidebaseError } from "../errors.ts";

/** An item on its way, and who waits for its result. */
interface Pending<Result> {
  /** The item as JSON. */
  readonly text: string;
  resolve(result: Result): void;
  reject(error: unknown): void;
}

/** The server takes at most this many items in one request … */
const ITEMS_MAX = 1000;
/** … and a request stays well below its limit for bodies, unless one item alone is larger. */
const BYTES_MAX = 4_000_000;

/** A request that is out for so long may wait for one of its items alone: the next one leaves all the same … */
const LATE_MS = 250;
/** … but never more than these are out. */
const MOST_OUT = 4;

interface Flight {
  readonly since: number;
  isLate: boolean;
}

/**
 * One request at a time, unless it is late; what is added while it is out travels together in the next one. A lone
 * item waits for nothing, sixteen busy runs share a round trip and a commit. When the request as a
 * whole is refused for what one item says, each is sent alone and fails alone.
 */
export function coalesce<Result>(
  send: (items: readonly string[]) => Promise<readonly Result[]>,
): (item: string) => Promise<Result> {
  let pending: Pending<Result>[] = [];
  const out = new Set<Flight>();
  let clock: ReturnType<typeof setTimeout> | undefined;
  let isDue = false;

  /** Once for all that is added in this turn; whoever was just answered may write again at once. */
  function soon(): void {
    if (isDue) return;
    isDue = true;
    setImmediate(() => {
      isDue = false;
      depart();
    });
  }

  function depart(): void {
    if (pending.length === 0) return;
    const isFree = out.size < MOST_OUT && [...out].every(({ isLate }) => isLate);
    if (isFree) {
      const batch = pending.slice(0, fitting(pending, 0));
      pending = pending.slice(batch.length);
      void fly(batch);
    }
    if (pending.length === 0 || clock !== undefined) return;
    clock = setTimeout(leaveLate, LATE_MS);
    clock.unref?.();
  }

  async function fly(batch: readonly Pending<Result>[]): Promise<void> {
    const flight = { since: performance.now(), isLate: false };
    out.add(flight);
    await sendBatch(batch, send);
    out.delete(flight);
    soon();
  }

  function leaveLate(): void {
    clock = undefined;
    const due = performance.now() - LATE_MS + 1;
    for (const flight of out) flight.isLate ||= flight.since <= due;
    depart();
  }

  return (text) =>
    new Promise((resolve, reject) => {
      pending.push({ text, resolve, reject });
      if (pending.length === 1) soon();
    });
}

/** The items in requests of what goes together, one after the other; the results in the order of the items. */
export async function inBatches<Result>(
  items: readonly string[],
  send: (items: readonly string[]) => Promise<readonly Result[]>,
): Promise<Result[]> {
  const texts = items.map((text) => ({ text }));
  const results: Result[] = [];
  while (results.length < items.length) {
    const from = results.length;
    const batch = items.slice(from, from + fitting(texts, from));
    results.push(...(await sendAll(batch, send)));
  }
  return results;
}

/** A result for each item, or none at all. */
async function sendAll<Result>(
  items: readonly string[],
  send: (items: readonly string[]) => Promise<readonly Result[]>,
): Promise<readonly Result[]> {
  const results = await send(items);
  if (results.length === items.length) return results;
  throw new TidebaseError("server_answer_invalid", "A result for each item is missing.");
}

/** How many of the items from there on go together: at least one. */
function fitting(items: readonly { readonly text: string }[], from: number): number {
  let bytes = 0;
  let end = from;
  for (; end < items.length && end - from < ITEMS_MAX; end++) {
    bytes += Buffer.byteLength(items[end]?.text ?? "");
    if (end > from && bytes > BYTES_MAX) break;
  }
  return end - from;
}

async function sendBatch<Result>(
  batch: readonly Pending<Result>[],
  send: (items: readonly string[]) => Promise<readonly Result[]>,
): Promise<void> {
  try {
    const texts = batch.map(({ text }) => text);
    const results = await sendAll(texts, send);
    for (const [index, { resolve }] of batch.entries()) resolve(results[index] as Result);
  } catch (error) {
    const final = batch.length === 1 || !isOneItemsFault(error);
    for (const item of batch) {
      if (final) item.reject(error);
      else await sendBatch([item], send);
    }
  }
}

function isOneItemsFault(error: unknown): boolean {
  return isTidebaseError(
    error,
    "input_invalid",
    "input_refused",
    "json_malformed",
    "number_out_of_range",
    "body_too_large",
    "payload_too_large",
    "webhook_not_found",
    "internal",
  );
}
