/** A connection at rest asks after half a minute, in milliseconds, whether the other side is still there. */
export const KEEP_ALIVE = { keepAlive: true, keepAliveInitialDelayMillis: 30_000 };
