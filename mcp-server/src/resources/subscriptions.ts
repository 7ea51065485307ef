import { setTimeout as delay } from "node:timers/promises";
import type { Backend } from "@tidebase/core";
import { ToolFailure } from "../tool-error.ts";
import type { ResourceDefinition } from "./resource.ts";
import { begin, look, type Subscription, targetOf } from "./subscription.ts";

/** At once; what is over counts no more. */
const SUBSCRIPTIONS_MAX = 100;
/** Between two looks, and so at least between two notifications of one resource. */
const PAUSE_MS = 500;
/** Besides, for each resource: so many do not ask the store for more than a few look-ups a second each. */
const PAUSE_EACH_MS = 10;
const AFTER_FAILURE_MS = 2000;
/** Looks under way at once: tools need the store too. */
const AT_ONCE = 3;

/** What one client follows. */
interface Subscriptions {
  /**
   * From now on `changed` is called. Throws `resource_not_found`, `resource_not_followed` (neither a run nor
   * a gate), `subscriptions_too_many`, or what the store throws; then nothing is followed.
   */
  add(uri: string): Promise<void>;
  remove(uri: string): void;
  /** Ends them all. */
  end(): void;
}

/** What following works with. */
interface Following {
  readonly resources: readonly ResourceDefinition[];
  backend(): Promise<Backend>;
  changed(uri: string): void;
  /** Told once of each time that the store is away. */
  onError?: ((error: unknown) => void) | undefined;
}

/** Looks at the events of what is followed, every half second while anything is. */
export function openSubscriptions(following: Following): Subscriptions {
  const followed = new Map<string, Subscription | undefined>(); // undefined: being looked up
  const ended = new AbortController();
  let isFollowing = false;

  async function add(uri: string): Promise<void> {
    const target = targetOf(uri, following.resources);
    if (followed.has(uri)) return;
    if (followed.size >= SUBSCRIPTIONS_MAX) throw tooMany();
    followed.set(uri, undefined);
    try {
      const subscription = await begin(await following.backend(), target);
      if (ended.signal.aborted || !followed.has(uri)) return; // taken back meanwhile
      if (subscription.over) followed.delete(uri);
      else followed.set(uri, subscription);
    } catch (error) {
      if (followed.get(uri) === undefined) followed.delete(uri);
      throw error;
    }
    if (!isFollowing) follow().catch(() => {}); // ended
  }

  async function follow(): Promise<void> {
    isFollowing = true;
    let isAway = false;
    try {
      for (let size = live().length; size > 0; size = live().length) {
        const pause = isAway ? AFTER_FAILURE_MS : PAUSE_MS + size * PAUSE_EACH_MS;
        await delay(pause, undefined, { signal: ended.signal });
        const failure = await lookAtAll().catch((error: unknown) => ({ error }));
        if (failure !== undefined && !isAway) following.onError?.(failure.error);
        isAway = failure !== undefined;
      }
    } finally {
      isFollowing = false; // at once: who is added from now on begins anew
    }
  }

  function live(): [uri: string, subscription: Subscription][] {
    return [...followed].flatMap(([uri, subscription]) =>
      subscription === undefined ? [] : [[uri, subscription]],
    );
  }

  async function lookAtAll(): Promise<undefined> {
    const backend = await following.backend();
    const all = live();
    for (let from = 0; from < all.length; from += AT_ONCE)
      await Promise.all(all.slice(from, from + AT_ONCE).map((one) => lookAt(backend, ...one)));
  }

  async function lookAt(backend: Backend, uri: string, subscription: Subscription): Promise<void> {
    const isChanged = await look(backend, subscription);
    if (followed.get(uri) !== subscription) return; // taken back, or ended
    if (subscription.over) followed.delete(uri);
    if (isChanged) following.changed(uri);
  }

  return {
    add,
    remove: (uri) => void followed.delete(uri),
    end() {
      ended.abort();
      followed.clear();
    },
  };
}

function tooMany(): ToolFailure {
  return new ToolFailure({
    code: "subscriptions_too_many",
    message: "This client follows as many resources as it may.",
    fix: "Unsubscribe from one first.",
    retryable: false,
    limit: SUBSCRIPTIONS_MAX,
  });
}
