/** Attempts under way at once; the last quarter of the slots is for webhooks that have none. */
const ALL = 64;
const SHARED = 48;
const OF_ONE = 8;

/** The attempts that this process has under way, and how many more it may take on. */
export interface Slots {
  free(): number;
  /** How many deliveries may be claimed, and how many attempts one webhook may have. */
  wanted(): { webhookIds: string[]; sending: number[]; each: number; limit: number };
  /** Settles, whatever comes of the attempt, once its slot is free again. */
  take(webhookId: string, attempt: Promise<void>): Promise<void>;
  /** Settles when nothing is under way. */
  emptied(): Promise<void>;
}

export function openSlots(): Slots {
  const attempts = new Set<Promise<void>>();
  const counts = new Map<string, number>();

  function count(webhookId: string, change: number): void {
    const left = (counts.get(webhookId) ?? 0) + change;
    if (left > 0) counts.set(webhookId, left);
    else counts.delete(webhookId);
  }

  return {
    free: () => ALL - attempts.size,
    wanted() {
      const isCrowded = attempts.size >= SHARED;
      return {
        webhookIds: [...counts.keys()],
        sending: [...counts.values()],
        each: isCrowded ? 1 : OF_ONE,
        limit: (isCrowded ? ALL : SHARED) - attempts.size,
      };
    },
    take(webhookId, attempt) {
      count(webhookId, 1);
      const freed = attempt
        .catch(() => {}) // not recorded: the claim lasts a minute, then somebody tries again
        .then(() => {
          count(webhookId, -1);
          attempts.delete(freed);
        });
      attempts.add(freed);
      return freed;
    },
    emptied: async () => {
      await Promise.all(attempts);
    },
  };
}
