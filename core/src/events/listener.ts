import pg from "pg";

const RECONNECT_MS = 5000;

/** Does the work again and again, each time so long after the last; a failure waits for the next time. */
export function repeat(work: () => Promise<void>, pauseMs: number): () => void {
  let stopped = false;
  let timer: NodeJS.Timeout | undefined;
  const turn = () =>
    void work()
      .catch(() => {})
      .then(wait);
  const wait = () => {
    if (!stopped) timer = setTimeout(turn, pauseMs).unref();
  };
  wait();
  return () => {
    stopped = true;
    clearTimeout(timer);
  };
}

/** LISTEN on a connection of its own, while somebody follows. Everything works without it. */
export function openListener(
  databaseUrl: () => string,
  channel: string,
  heard: (message: string) => void,
): { start(): void; stop(): Promise<void> } {
  let client: pg.Client | undefined;
  let retry: NodeJS.Timeout | undefined;

  function start(): void {
    if (client !== undefined) return;
    clearTimeout(retry);
    const opened = new pg.Client({
      connectionString: databaseUrl(),
      application_name: "tidebase",
      keepAlive: true,
    });
    client = opened;
    const lost = () => {
      if (client !== opened) return;
      client = undefined;
      retry = setTimeout(start, RECONNECT_MS).unref();
    };
    opened.on("notification", ({ payload = "" }) => heard(payload));
    opened.on("error", lost);
    opened.on("end", lost);
    opened
      .connect()
      .then(() => opened.query(`listen ${pg.escapeIdentifier(channel)}`))
      .catch(lost);
  }

  async function stop(): Promise<void> {
    clearTimeout(retry);
    const opened = client;
    client = undefined;
    await opened?.end().catch(() => {});
  }
  return { start, stop };
}
