import type { Evidence } from "../history/evidence.ts";
import type { Check, Violation } from "./check.ts";

const ID = "C14";
/** Good operations within the faults of a trial, all of them together. */
const OK_MIN = 50;

/** A trial in which nothing was hurt, or nothing worked, proves nothing: it is invalid, not green. */
export const activity: Check = {
  id: ID,
  promises: [],
  rule: "Each fault fired; 50 operations were good between a blow and its healing, and some of every workload that was driven.",
  find: (evidence) => [...unfired(evidence), ...idle(evidence), ...silent(evidence)],
};

function unfired({ faults }: Evidence): Violation[] {
  if (faults.length === 0) return [{ check: ID, key: "faults", message: "No fault was fired." }];
  return faults
    .filter(({ from, to }) => !(to > from))
    .map(({ id, told }) => ({ check: ID, key: id, message: `${id} did not fire: ${told}.` }));
}

function idle({ faults, ops }: Evidence): Violation[] {
  const isUnderFault = (at: number) =>
    faults.some(({ from, to, struck = from }) => struck <= at && at <= to);
  const good = ops.filter(({ type, at }) => type === "ok" && isUnderFault(at)).length;
  if (faults.length === 0) return [];
  const message = `Only ${good} operations were good while faults were on; ${OK_MIN} have to be.`;
  return good < OK_MIN ? [{ check: ID, key: "ops", message }] : [];
}

function silent({ ops, workloads }: Evidence): Violation[] {
  const driven = new Set([...workloads, ...ops.map(({ workload }) => workload)]);
  const good = new Set(ops.filter(({ type }) => type === "ok").map(({ workload }) => workload));
  return [...driven]
    .filter((key) => !good.has(key))
    .map((key) => ({ check: ID, key, message: `No operation of ${key} was good.` }));
}
