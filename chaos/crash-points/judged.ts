import { checks } from "../checks/index.ts";
import { type Delivered, type Evidence, type FinalRead, now } from "../history/evidence.ts";
import { brokenDeliveries, brokenFires, leftBehind } from "./laws.ts";
import type { Line } from "./oracle-file.ts";

/** The checks over histories that need no recorded client: repeats, fencing, gates, lifecycle, logs, usage, liveness, children. */
const USED = new Set(["C1", "C2", "C4", "C8", "C9", "C12", "C13", "C16"]);

/** What a trial left behind. */
export interface Left {
  readonly final: FinalRead;
  readonly received: readonly Delivered[];
  /** What the steps did; none where nothing has steps. */
  readonly lines: readonly Line[];
}

/** Every law that a store at rest has to keep, wherever somebody died; a sentence for each that it does not. */
export function judged(left: Left): string[] {
  const { final, received } = left;
  const evidence = evidenceOf(left);
  const violations = checks.filter(({ id }) => USED.has(id)).flatMap((one) => one.find(evidence));
  return [
    ...violations.map(({ check, message }) => `${check}: ${message}`),
    ...brokenFires(final),
    ...brokenDeliveries(final, received),
    ...leftBehind(final),
  ];
}

function evidenceOf({ final, received, lines }: Left): Evidence {
  const effects = lines
    .filter(({ kind }) => kind === "effect")
    .map(({ kind: _, ...line }, index) => ({ seq: index + 1, ...line }));
  const nothing = { workloads: [], ops: [], faults: [], processes: [] };
  // The store is at rest: whatever is late now stays so. Its own clock may have been moved far.
  const healed = { healedAt: 0, readAt: now() };
  return { ...nothing, ...healed, seed: 0, effects, deliveries: received, final };
}
