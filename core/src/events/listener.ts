import pg from "pg";
import { KEEP_ALIVE } from "../keep-alive.ts";

const RECONNECT_MS = 5000;
/** How long connecting, and `listen`, may take. */
const TIMEOUT_MS = 10_000;
/** Waits come one after another: the connection outlives the last one for so long. */
const REST_MS = 30_000;

/** LISTEN on a connection of its own, while somebody follows. Everything works without it. */
export interface Listener {
  start(): void;
  /** Nobody follows any more: ends it soon, unless it is started again. */
  rest(): void;
  stop(): Promise<void>;
}

/**
 * `heard` is called with each message, `listening` once messages come in: those sent before, while the
 * connection was made, are lost.
 */
export function openListener(
  databaseUrl: () => string,
  channel: string,
  tell: { heard(message: string): void; listening(): void },
): Listener {
  let client: pg.Client | undefined;
  let retry: NodeJS.Timeout | undefined;
  let resting: NodeJS.Timeout | undefined;

  function start(): void {
    clearTimeout(resting);
    if (client !== undefined) return;
    clearTimeout(retry);
    const opened = new pg.Client({
      connectionString: databaseUrl(),
      application_name: "tidebase",
      connectionTimeoutMillis: TIMEOUT_MS,
      query_timeout: TIMEOUT_MS,
      ...KEEP_ALIVE,
    });
    client = opened;
    const lost = () => {
      if (client !== opened) return;
      client = undefined;
      retry = setTimeout(start, RECONNECT_MS).unref();
    };
    opened.on("notification", ({ payload = "" }) => tell.heard(payload));
    opened.on("error", lost);
    opened.on("end", lost);
    opened
      .connect()
      .then(() => opened.query(`listen ${pg.escapeIdentifier(channel)}`))
      .then(() => {
        if (client === opened) tell.listening();
      })
      .catch(lost);
  }

  function rest(): void {
    clearTimeout(resting);
    resting = setTimeout(() => void stop(), REST_MS).unref();
  }

  async function stop(): Promise<void> {
    clearTimeout(resting);
    clearTimeout(retry);
    const opened = client;
    client = undefined;
    await opened?.end().catch(() => {});
  }
  return { start, rest, stop };
}
