/** An answer that was read to its end. */
export interface Answer {
  readonly status: number;
  readonly text: string;
  /** What the server asked for with `Retry-After`, in milliseconds. */
  readonly retryAfterMs?: number;
}

/** An answer that is read while it comes. */
export interface Stream {
  readonly status: number;
  readonly chunks: AsyncIterable<Uint8Array>;
}

/** Where the server is, and how it is reached. */
export interface TransportOptions {
  readonly url: string;
  readonly apiKey: string | undefined;
  readonly fetch: typeof fetch | undefined;
}

/** A request whose answer the server may keep back for long. */
export interface Poll {
  /** Recalls it. */
  readonly signal: AbortSignal;
  /** Whether it keeps the process alive, where that can be chosen. Default true. */
  readonly keepsAlive?: boolean;
}

/** One HTTP exchange. The whole SDK reaches the server through these functions alone. */
export interface Transport {
  /**
   * Rejects when no answer came within the time. A poll has a connection of its own, so that no call
   * waits behind it, and rejects when its signal is aborted.
   */
  send(
    method: "GET" | "POST",
    path: string,
    body: string | null,
    timeoutMs: number,
    poll?: Poll,
  ): Promise<Answer>;
  /** `idleMs` is the longest silence before the stream counts as broken. */
  open(
    path: string,
    headers: Readonly<Record<string, string>>,
    idleMs: number,
    signal: AbortSignal,
  ): Promise<Stream>;
  /** Closing twice is closing once; what is asked afterwards is refused as `client_closed`. */
  close(): Promise<void>;
}

/** Headers of every request. */
export function headersOf({ apiKey }: TransportOptions): Record<string, string> {
  return apiKey === undefined ? {} : { authorization: `Bearer ${apiKey}` };
}

/** `Retry-After` in seconds or as a date (RFC 9110 §10.2.3). */
export function retryAfter(header: string | null | undefined): { retryAfterMs?: number } {
  if (header === null || header === undefined || header === "") return {};
  const seconds = Number(header);
  const ms = Number.isNaN(seconds) ? Date.parse(header) - Date.now() : seconds * 1000;
  return Number.isNaN(ms) ? {} : { retryAfterMs: Math.max(0, ms) };
}
