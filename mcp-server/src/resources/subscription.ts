import {
  type Backend,
  FINAL_EVENTS,
  getGate,
  getRun,
  listEvents,
  TidebaseError,
} from "@tidebase/core";
import { ask } from "../answers/plain.ts";
import { ToolFailure } from "../tool-error.ts";
import type { EventRow } from "../tools/list-events.ts";
import { find } from "./read.ts";
import type { ResourceDefinition } from "./resource.ts";

const PAGE = 200;

const GATE_EVENTS = ["opened", "voted", "resolved", "extended", "expired"].map((n) => `gate.${n}`);
const DECIDED: readonly string[] = ["gate.resolved", "gate.expired"];

/** A followed resource: a run, or a gate by what happens to its run. */
export interface Subscription {
  readonly runId: string;
  readonly gateId?: string;
  /** Events up to this one have been told of. */
  seen: number;
  /** Nothing can happen to it any more. */
  over: boolean;
}

/** What a URI names that can be followed. */
interface Target {
  readonly runId?: string;
  readonly gateId?: string;
}

/** Throws `resource_not_found`, or `resource_not_followed` for what is neither a run nor a gate. */
export function targetOf(uri: string, resources: readonly ResourceDefinition[]): Target {
  const { resource, variables } = find(uri, resources);
  if (resource.name === "run" || resource.name === "gate") return variables;
  throw new ToolFailure({
    code: "resource_not_followed",
    message: "Only runs and gates can be subscribed to.",
    fix: "Subscribe to tidebase://runs/{runId} or tidebase://gates/{gateId}; read the others again.",
    retryable: false,
  });
}

/** Finds the resource as it is now; throws `run_not_found` or `gate_not_found`. */
export async function begin(backend: Backend, { runId, gateId }: Target): Promise<Subscription> {
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

/**
 * Whether something happened to it since the last look, which this is from now on. That its run is gone, by retention,
 * is the last thing that can.
 */
export async function look(backend: Backend, subscription: Subscription): Promise<boolean> {
  try {
    return await lookAtEvents(backend, subscription);
  } catch (error) {
    if (!isGone(error)) throw error;
    subscription.over = true;
    return true;
  }
}

function isGone(error: unknown): boolean {
  return error instanceof TidebaseError && error.code === "run_not_found";
}

async function lookAtEvents(backend: Backend, subscription: Subscription): Promise<boolean> {
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
