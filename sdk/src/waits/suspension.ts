import { TidebaseError } from "../errors.ts";
import type { Operations } from "../operations.gen.ts";

/** What a suspended run waits for, as the server is told. */
export type WaitList = Operations["runs.suspend"]["input"]["waits"];

/** What the event `child.ended` tells. */
export interface EndedChild extends Place {
  readonly status: "completed" | "failed" | "cancelled";
}

interface Place {
  readonly name: string;
  readonly key: string;
}

/** One thing that is waited for; a wait for a signal with a timeout names two. */
export interface Awaited {
  readonly gate?: string;
  readonly signal?: string;
  readonly timer?: Place;
  readonly retry?: Place;
  /** Until it has ended. */
  readonly child?: Place;
  /** Until all children of the name have ended; or any has completed, or none is open. */
  readonly join?: { readonly name: string; readonly mode: "all" | "any" };
  /** Whether it is worth to look again, now that this child has ended. */
  readonly hears?: (ended: EndedChild) => boolean;
  /** For people. */
  readonly says: string;
}

/** A run takes at most so many of each kind. */
const MOST = 1000;

/** All of them together; undefined when they are more than a suspended run can wait for. */
export function union(all: readonly Awaited[]): WaitList | undefined {
  const children = distinct(all.map(({ child }) => child));
  const joins = distinct(all.map(({ join }) => join));
  const waits = {
    gates: distinct(all.map(({ gate }) => gate)),
    signals: distinct(all.map(({ signal }) => signal)),
    timers: distinct(all.map(({ timer }) => timer)),
    retries: distinct(all.map(({ retry }) => retry)),
    ...(children.length > 0 && { children }),
    ...(joins.length > 0 && { joins }),
  };
  return Object.values(waits).some((some) => some.length > MOST) ? undefined : waits;
}

/** Not a failure: the run goes on when it is begun again, best after what it waits for. */
export function suspended(
  runId: string,
  all: readonly Awaited[],
  waits: WaitList,
  wakeAt: string | null,
): TidebaseError {
  const says = all.slice(0, 10).map((one) => one.says);
  const more = all.length > says.length ? ` and ${all.length - says.length} more` : "";
  const time = wakeAt === null ? "" : ` It wakes at ${wakeAt} at the latest.`;
  return new TidebaseError(
    "run_suspended",
    `Run ${runId} is suspended and holds no process. It waits for ${says.join(", ")}${more}.${time} It goes on when it is begun again after that: by a webhook that invokes (\`npx tidebase webhooks create … --invokes\`), or by running it again with this runId.`,
    { runId, waits, wakeAt },
  );
}

function distinct<Value>(values: readonly (Value | undefined)[]): Value[] {
  return [...new Set(values.filter((value) => value !== undefined))];
}
