import type { Check } from "./check.ts";

const ID = "C15";
/** What Node writes of a promise or an error that nobody caught, and what we write of an invariant that broke. */
const BROKEN =
  /unhandled ?(?:promise ?)?rejection|triggerUncaughtException|uncaught ?exception|\bUncaught\b|\bsoft\b/i;

/** Processes end when they are told to, and nothing in them goes wrong unseen. */
export const processes: Check = {
  id: ID,
  promises: ["P19"],
  rule: "No process ends but by the nemesis or the end of the trial; none tells of an error that nobody caught.",
  find({ processes: ended }) {
    return ended.flatMap(({ name, role, meant, code, signal, stderr }) => {
      const how = signal ?? `code ${code}`;
      const broken = BROKEN.exec(stderr)?.[0];
      const fell = `The ${role} ${name} ended by itself (${how}): ${stderr.slice(-500)}`;
      const told = `The ${role} ${name} told of "${broken}": ${stderr.slice(-500)}`;
      return [
        ...(meant ? [] : [{ check: ID, key: name, message: fell }]),
        ...(broken === undefined ? [] : [{ check: ID, key: name, message: told }]),
      ];
    });
  },
};
