import { API_HOST } from "./port.ts";

/** Who listens on the port, when it is not this process: undefined while that cannot be told. */
export type Holder = "this_store" | "other_store" | "other_program" | undefined;

/** Keeps an eye on who holds a port. */
export interface HolderWatch {
  readonly port: number;
  holder(): Holder;
  /** Asks, unless it is known well enough; returns at once. */
  look(): void;
}

const ASK_MS = 2000;
/** The holder may change without our seeing it. */
const FRESH_MS = 60_000;
const AGAIN_MS = 3000;

/** `log` is told once of each kind of holder that keeps SDK programs from this store. */
export function watchHolder(
  port: number,
  { description, log }: { readonly description: string; log(line: string): void },
): HolderWatch {
  let holder: Holder;
  let askedAt = -Infinity;
  const told = new Set<Holder>();

  async function ask(): Promise<void> {
    holder = await holderOf(port, description);
    const note = noteOn(holder, port);
    if (note === undefined || told.has(holder)) return;
    told.add(holder);
    log(note);
  }

  function look(): void {
    const now = performance.now();
    if (now - askedAt < (holder === undefined ? AGAIN_MS : FRESH_MS)) return;
    askedAt = now;
    void ask();
  }
  return { port, holder: () => holder, look };
}

/** What is wrong with this holder, and what to do; undefined when nothing is. */
export function noteOn(holder: Holder, port: number): string | undefined {
  const way = `Set TIDEBASE_PORT to a free port and TIDEBASE_URL of the programs to its address, or end what holds the port.`;
  if (holder === "other_store")
    return `Port ${port} is held by a Tidebase server of another store, so SDK programs do not reach this one. ${way}`;
  if (holder === "other_program")
    return `Port ${port} is held by another program, so SDK programs do not reach this store. ${way}`;
  return undefined;
}

/** A server that shows its store to nobody without a key cannot be told from one of another store. */
async function holderOf(port: number, description: string): Promise<Holder> {
  let answer: Response;
  try {
    const signal = AbortSignal.timeout(ASK_MS);
    answer = await fetch(`http://${API_HOST}:${port}/ready`, { redirect: "manual", signal });
  } catch (error) {
    return hasLeft(error) ? undefined : "other_program"; // it says nothing, or nothing of HTTP
  }
  const said: unknown = await answer.json().catch(() => undefined);
  const { ready, store } = Object(said) as { ready?: unknown; store?: unknown };
  if (typeof ready !== "boolean") return "other_program";
  if (typeof store !== "string") return undefined; // it starts, or has keys
  return store === description ? "this_store" : "other_store";
}

/** The server left before it was asked, or while it was. */
function hasLeft(error: unknown): boolean {
  const { code } = Object((error as Error).cause) as { code?: unknown };
  return code === "ECONNREFUSED" || code === "ECONNRESET" || code === "UND_ERR_SOCKET";
}
