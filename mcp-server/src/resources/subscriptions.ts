import { setTimeout as delay } from "node:timers/promises";
import { type Backend, FINAL_EVENTS, getGate, getRun, listEvents } from "@tidebase/core";
import { ask } from "../answers/plain.ts";
import { ToolFailure } from "../tool-error.ts";
import type { EventRow } from "../tools/list-events.ts";
import { find } from "./read.ts";
import type { ResourceDefinition } from "./resource.ts";

const SUBSCRIPTIONS_MAX = 100;
/** Between two looks, and so at least between two notifications of one resource. */
const PAUSE_MS = 500;
/** Besides, for each resource: so many do not ask the store for more than a few look-ups a second each. */
const PAUSE_EACH_MS = 10;
const AFTER_FAILURE_MS = 2000;
/** Looks under way at once: tools need the store too. */
const AT_ONCE = 3;
const PAGE = 200;

const GATE_EVENTS = ["opened", "voted", "resolved", "extended", "expired"].map((n) => `gate.${n}`);
const DECIDED: readonly string[] = ["gate.resolved", "gate.expired"];

/** A followed resource: a run, or a gate by what happens to its run. */
interface Subscription {
  readonly runId: string;
  readonly gateId?: string;
  /** Events up to this one have been told of. */
  seen: number;
  /** Nothing can happen to it any more. */
  over: boolean;
}

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
      followed.set(uri, subscription);
    } catch (error) {
      if (followed.get(uri) === undefined) followed.delete(uri);
      throw error;
    }
    if (!isFollowing) follow();
  }

  function live(): [uri: string, subscription: Subscription][] {
    return [...followed].flatMap(([uri, subscription]) =>
      subscription === undefined || subscription.over ? [] : [[uri, subscription]],
    );
  }

  function follow(): void {
    isFollowing = true;
    looks()
      .catch(() => {}) // ended
      .finally(() => {
        isFollowing = false;
      });
  }

  async function looks(): Promise<void> {
    let isAway = false;
    for (let waiting = live(); waiting.length > 0; waiting = live()) {
      const pause = isAway ? AFTER_FAILURE_MS : PAUSE_MS + waiting.length * PAUSE_EACH_MS;
      await delay(pause, undefined, { signal: ended.signal });
      try {
        await lookAt(live());
        isAway = false;
      } catch (error) {
        if (!isAway) following.onError?.(error);
        isAway = true;
      }
    }
  }

  async function lookAt(all: [uri: string, subscription: Subscription][]): Promise<void> {
    const backend = await following.backend();
    for (let from = 0; from < all.length; from += AT_ONCE) {
      const some = all.slice(from, from + AT_ONCE);
      await Promise.all(
        some.map(async ([uri, subscription]) => {
          const isChanged = await look(backend, subscription);
          if (isChanged && followed.get(uri) === subscription && !ended.signal.aborted)
            following.changed(uri);
        }),
      );
    }
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

interface Target {
  readonly runId?: string;
  readonly gateId?: string;
}

function targetOf(uri: string, resources: readonly ResourceDefinition[]): Target {
  const { resource, variables } = find(uri, resources);
  if (resource.name === "run" || resource.name === "gate") return variables;
  throw new ToolFailure({
    code: "resource_not_followed",
    message: "Only runs and gates can be subscribed to.",
    fix: "Subscribe to tidebase://runs/{runId} or tidebase://gates/{gateId}; read the others again.",
    retryable: false,
  });
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

/** Finds the resource as it is now; throws `run_not_found` or `gate_not_found`. */
async function begin(backend: Backend, { runId, gateId }: Target): Promise<Subscription> {
  if (gateId === undefined) {
    const { run } = await ask(backend, getRun, { runId: runId ?? "" });
    return { runId: run.runId, seen: run.lastSeq, over: isFinal(run.status) };
  }
  const before = await ask(backend, getGate, { gateId });
  const { run } = await ask(backend, getRun, { runId: before.gate.runId });
  const { gate } = await ask(backend, getGate, { gateId }); // not older than the run's number
  return { runId: run.runId, gateId, seen: run.lastSeq, over: gate.status !== "open" };
}

function isFinal(status: string): boolean {
  return FINAL_EVENTS.includes(`run.${status}`);
}

/** Whether something happened to it since the last look. */
async function look(backend: Backend, subscription: Subscription): Promise<boolean> {
  const { runId, gateId, seen } = subscription;
  const types = gateId === undefined ? [...FINAL_EVENTS] : [...GATE_EVENTS, ...FINAL_EVENTS];
  const page = await ask(backend, listEvents, { runId, afterSeq: seen, types, limit: PAGE });
  const events = (page.events as EventRow[]).filter(
    ({ type, data }) =>
      FINAL_EVENTS.includes(type) || (data as { gateId?: unknown } | null)?.gateId === gateId,
  );
  subscription.seen = page.nextAfterSeq ?? page.lastSeq;
  subscription.over = events.some(
    ({ type }) => FINAL_EVENTS.includes(type) || (gateId !== undefined && DECIDED.includes(type)),
  );
  return gateId === undefined ? page.lastSeq > seen : events.length > 0;
}
