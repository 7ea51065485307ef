import type { Evidence } from "../history/evidence.ts";
import type { Check, Violation } from "./check.ts";
import { setBack } from "./log.ts";
import { member } from "./rows.ts";

const ID = "C15";
/**
 * What Node writes of a promise or an error that nobody caught, and what we write of an invariant that broke and of an answer
 * that says so: a worker asks again, and only the server tells of that one.
 */
const BROKEN =
  /unhandled ?(?:promise ?)?rejection|triggerUncaughtException|uncaught ?exception|\bUncaught\b|\bsoft\b|"code":"internal"/i;
const [BEFORE, AFTER] = [300, 500];

/** Processes end when they are told to, and nothing in them goes wrong unseen. */
export const processes: Check = {
  id: ID,
  promises: ["P19"],
  rule: "No process ends but by the nemesis or the end of the trial; none tells of an error that nobody caught or thought of; no call is answered `internal`; no log of a run goes back in time.",
  find: (evidence) => [...ended(evidence), ...failed(evidence), ...backwards(evidence)],
};

function ended({ processes }: Evidence): Violation[] {
  return processes.flatMap(({ name, role, meant, code, signal, stderr }) => {
    const how = signal ?? `code ${code}`;
    const broken = BROKEN.exec(stderr);
    const fell = `The ${role} ${name} ended by itself (${how}): ${stderr.slice(-500)}`;
    return [
      ...(meant ? [] : [{ check: ID, key: name, message: fell }]),
      ...(broken === null ? [] : [{ check: ID, key: name, message: told(name, broken) }]),
    ];
  });
}

function told(name: string, { 0: word, index, input }: RegExpExecArray): string {
  return `${name} told of ${word}: ${input.slice(Math.max(0, index - BEFORE), index + AFTER)}`;
}

/** The server's word for what nobody has thought of. To who asked it may have happened or not, so no other check minds. */
function failed({ ops }: Evidence): Violation[] {
  return ops
    .filter(({ type, value }) => type !== "invoke" && type !== "ok" && isInternal(value))
    .map(({ f, key, proc, call }) => ({
      ...{ check: ID, key },
      message: `${f} of ${key} by ${proc} (${call}) was answered: internal.`,
    }));
}

function isInternal(value: unknown): boolean {
  return member(value, "code") === "internal";
}

/** No fault touches the database's clock, and other checks compare its instants. */
function backwards(evidence: Evidence): Violation[] {
  return setBack(evidence).map(({ run, seq, type, at }) => ({
    ...{ check: ID, key: run },
    message: `Event ${seq}, ${type}, of ${run} is told to have been at ${new Date(at).toISOString()}, over a second before the one before it.`,
  }));
}
