import type { Evidence } from "../history/evidence.ts";
import { noRepeat } from "./c01-no-repeat.ts";
import { fencing } from "./c02-fencing.ts";
import { durableAck } from "./c03-durable-ack.ts";
import { gates } from "./c04-gates.ts";
import { dedupe } from "./c05-dedupe.ts";
import { queues } from "./c06-queues.ts";
import { cron } from "./c07-cron.ts";
import { lifecycle } from "./c08-lifecycle.ts";
import { log } from "./c09-log.ts";
import { deliveries } from "./c10-deliveries.ts";
import { state } from "./c11-state.ts";
import { usage } from "./c12-usage.ts";
import { liveness } from "./c13-liveness.ts";
import { activity } from "./c14-activity.ts";
import { processes } from "./c15-processes.ts";
import { children } from "./c16-children.ts";
import type { Check, Violation } from "./check.ts";

/** The rules that a trial is held to; C14 says whether it was one at all. */
export const checks: readonly Check[] = [
  noRepeat,
  fencing,
  durableAck,
  gates,
  dedupe,
  queues,
  cron,
  lifecycle,
  log,
  deliveries,
  state,
  usage,
  liveness,
  activity,
  processes,
  children,
];

/** All that speaks against a promise. */
export function check(evidence: Evidence): Violation[] {
  return checks.filter((one) => one !== activity).flatMap((one) => one.find(evidence));
}

/** Promises that only some faults put to the test, by the ids of those; all others are at stake in every trial. */
const TESTED_BY: Readonly<Record<string, readonly string[]>> = {
  P17: ["F1", "F2", "F3", "F4", "F9"], // a process of ours ends, or Postgres
  P19: ["F25"], // rows that cannot be settled
};

/** The promises that a trial with these faults put to the test, and against which none of the violations speaks. */
export function held(faults: readonly string[], violations: readonly Violation[]): string[] {
  const broken = new Set(violations.map((one) => one.check));
  const isTested = (promise: string): boolean =>
    TESTED_BY[promise]?.some((id) => faults.includes(id)) ?? true;
  const against = new Set(checks.flatMap(({ id, promises }) => (broken.has(id) ? promises : [])));
  const promises = new Set(checks.flatMap((one) => one.promises));
  return [...promises].filter((promise) => isTested(promise) && !against.has(promise));
}

/** Why the trial proves nothing, if it does not: then what `check` says counts neither way. */
export function invalid(evidence: Evidence): readonly Violation[] {
  return activity.find(evidence);
}
