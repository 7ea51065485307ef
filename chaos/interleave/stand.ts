import { randomUUID } from "node:crypto";
import type { Bench } from "./bench.ts";
import { type Ids, placing, putCopy } from "./copies.ts";
import { type FinalRead, readRun } from "./final-read.ts";
import type { Acting } from "./operations.ts";
import { type Choose, type Ran, runOrder } from "./scheduler.ts";
import { CHILD, HOLDER, type Prepared, prepare, type Start, type Wanted } from "./starts.ts";

/** Two operations on one run, and where it stands. */
export interface Case {
  readonly names: readonly [string, string];
  readonly acts: readonly [Acting, Acting];
  readonly start: Start;
  readonly wanted: Wanted;
}

/** Runs cases on a bench, one after another. */
export interface Stand {
  /** The run that the case begins with; it is prepared once. */
  prepared(one: Case): Promise<Prepared>;
  /** One order, on a fresh copy of the run. At the lock: nobody gets the run's row before both have asked for it. */
  once(
    one: Case,
    from: Prepared,
    how: { readonly choose: Choose; readonly isAtLock: boolean },
  ): Promise<{ ran: Ran; read: FinalRead }>;
}

export const laneName = (n: number): string => (n === 0 ? "a" : "b");

/** A stand on the bench, which nobody else may use. */
export async function openStand(bench: Bench): Promise<Stand> {
  const place = await placing(bench);
  const kept = new Map<string, Prepared>();
  let before: Ids | undefined;
  let copies = 0;

  const prepared: Stand["prepared"] = async ({ start, wanted }) => {
    const key = JSON.stringify([start, wanted]);
    const known = kept.get(key);
    if (known !== undefined) return known;
    await bench.query("delete from tidebase.runs"); // nothing of a case may be claimed or swept meanwhile
    const made = await prepare(bench, start, wanted);
    kept.set(key, made);
    return made;
  };

  const once: Stand["once"] = async (one, from, { choose, isAtLock }) => {
    copies += 1;
    const isChildFirst = copies % 2 === 0;
    const ids = await putCopy(bench, from.original, { place, before, isChildFirst });
    before = ids;
    const grants = grantsOf(one);
    const works = worksOf(bench, one, { ids, from, grants });
    const ran = await interleave(bench, works, { choose, held: isAtLock ? ids.run : undefined });
    const whose = new Map([[HOLDER, "holder"], [CHILD, "child"], ...grants]);
    return { ran, read: await readRun(bench, ids, { since: from.lastSeq, grants: whose }) };
  };
  return { prepared, once };
}

/** The grant of each lane with its name; one for both where the call is sent twice. */
function grantsOf({ acts }: Case): [string, string][] {
  if (acts[0].isRepeat === true) {
    const both: [string, string] = [randomUUID(), "both"];
    return [both, both];
  }
  return acts.map((_, n) => [randomUUID(), laneName(n)]);
}

function worksOf(
  { seats }: Bench,
  { acts }: Case,
  { ids, from, grants }: { ids: Ids; from: Prepared; grants: readonly [string, string][] },
): (() => Promise<string>)[] {
  const subject = {
    runId: `run_${ids.run}`,
    gateId: `gate_${ids.gate}`,
    childRunId: `run_${ids.child}`,
    hasChild: from.state.child !== null,
    digest: from.digest,
    queue: from.queue,
  };
  return acts.map(({ call }, n) => {
    const caller = { ...seats[n === 0 ? 0 : 1], grantId: `grant_${grants[n]?.[0]}` };
    return () => call(caller, subject);
  });
}

async function interleave(
  bench: Bench,
  works: readonly (() => Promise<string>)[],
  { choose, held }: { choose: Choose; held: string | undefined },
): Promise<Ran> {
  const lanes = bench.seats.map(({ lane }) => lane);
  const surroundings = { choose, isBlocked: bench.isBlocked };
  if (held === undefined) return runOrder(lanes, works, surroundings);
  const letRowGo = await bench.hold(held);
  let isHeld = true;
  const letGo = async (): Promise<void> => {
    isHeld = false;
    await letRowGo();
  };
  try {
    return await runOrder(lanes, works, { ...surroundings, hold: { isHeld: () => isHeld, letGo } });
  } finally {
    if (isHeld) await letGo();
  }
}
