/** Where the database is now. An embedded one may come back on another port. */
export interface Address {
  url(): string;
  /**
   * Brings the database back after a connection, asked for at `since` (of `performance.now()`),
   * failed. Returns whether to connect once more. Throws what kept the database from coming back.
   */
  revive(since: number): Promise<boolean>;
}

/** A database that will not start costs a process per try, and every waiting caller would try. */
const PAUSE_MS = 2_000;

/** Any number of callers share one revival; without `revive` the address is the one given, for ever. */
export function openAddress(options: {
  readonly databaseUrl: string;
  readonly revive?: (() => Promise<string>) | undefined;
}): Address {
  let url = options.databaseUrl;
  let reviving: Promise<void> | undefined;
  let revivedAt = -Infinity;
  let triedAt = -Infinity;

  async function attempt(bringBack: () => Promise<string>): Promise<void> {
    try {
      url = await bringBack();
      revivedAt = performance.now();
    } finally {
      triedAt = performance.now();
      reviving = undefined;
    }
  }

  async function revive(since: number): Promise<boolean> {
    if (options.revive === undefined) return false;
    if (reviving === undefined) {
      if (revivedAt > since) return true; // while this caller was still failing
      if (performance.now() - triedAt < PAUSE_MS) return false;
      reviving = attempt(options.revive);
    }
    await reviving;
    return true;
  }
  return { url: () => url, revive };
}
