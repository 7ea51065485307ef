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
];

/** Every promise that did not hold. */
export function check(evidence: Evidence): Violation[] {
  return checks.filter((one) => one !== activity).flatMap((one) => one.find(evidence));
}

/** Why the trial proves nothing, if it does not: then what `check` says counts neither way. */
export function invalid(evidence: Evidence): readonly Violation[] {
  return activity.find(evidence);
}
