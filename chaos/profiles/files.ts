const named = (folder: string, names: readonly string[]) =>
  names.map((name) => `${folder}/test/${name}.test.ts`);

/**
 * The SDK's tests that talk to a server of their own in their process. Left out: those without a server (coalesce,
 * config, encoding, input-hash, usage-providers), those that start the product's own programs, which no profile reaches
 * (kill, shutdown, testing-crash, testing-store, usage), and wake-ups, which measures the time of a hint.
 */
export const SDK = named("sdk", [
  "lease",
  "worker",
  "steps",
  "away",
  "waits",
  "gates",
  "run",
  "children",
  "fanout",
  "suspension",
  "enqueue",
  "events",
  "state",
  "cancellation",
  "forks",
  "webhook",
]);

/**
 * Core's tests of what has to hold in races. Left out: those without a database, those about the database, the embedded
 * Postgres or moving a store (migrate, store, stores, transfer, embedded), those that count round trips, plans or
 * bytes (hot-path, plans, pulse, gather, statements), and those of minutes (retention, dispatcher, gate-promises, cron,
 * wake-races).
 */
export const RACES = named("core", [
  "races",
  "queue-edges",
  "schedule-races",
  "gate-races",
  "leases",
  "queues",
  "cancel-races",
  "child-races",
  "fencing",
  "steps",
  "waits",
  "gates",
  "state",
  "events",
  "recovery",
  "schedules",
  "children",
  "lost-workers",
  "runs",
]);

/** The same without those named. */
export function without(files: readonly string[], names: readonly string[]): string[] {
  return files.filter((file) => !names.some((name) => file.endsWith(`/${name}.test.ts`)));
}
