import { type Life, lifeHere } from "./life.ts";

/** An effect, and how often it happened. */
export interface CountedEffect {
  readonly effect: string;
  readonly key: string;
  readonly times: number;
}

/** What a test's fakes of the outside world were asked to do. */
export interface EffectRecorder {
  /**
   * Counts an effect, and says whether it happened. With an `idempotencyKey` it behaves like a service
   * that honours such keys: what it has seen does not happen again. Neither does anything that a
   * killed worker would not have lived to do.
   */
  record(effect: string, key?: string, options?: { readonly idempotencyKey?: string }): boolean;
  /** What has happened so far: in a crash check since the run that is under way began. */
  readonly counts: readonly CountedEffect[];
  /** Forgets all. A crash check does so before each run. */
  clear(): void;
}

/** A recorder without anything in it. */
export function recordEffects(): EffectRecorder {
  const counted = new Map<string, CountedEffect>();
  const seen = new Set<string>();
  return {
    record(effect, key = "", { idempotencyKey } = {}) {
      const life: Life | undefined = lifeHere();
      if (life?.isOver === true) return false;
      const place = JSON.stringify([effect, key]);
      if (idempotencyKey !== undefined) {
        const once = JSON.stringify([effect, idempotencyKey]);
        if (seen.has(once)) return false;
        seen.add(once);
      }
      counted.set(place, { effect, key, times: (counted.get(place)?.times ?? 0) + 1 });
      return true;
    },
    get counts() {
      return [...counted.values()];
    },
    clear() {
      counted.clear();
      seen.clear();
    },
  };
}
