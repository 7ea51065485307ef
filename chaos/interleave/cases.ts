import { shuffled } from "../random.ts";
import { ACT_NAMES, ACTS, type ActName } from "./operations.ts";
import type { Case } from "./stand.ts";
import { STARTS, type Wanted } from "./starts.ts";

/** Every unordered pair of operations, also with itself, from every start. A repeat is paired with itself alone. */
export function everyCase(): Case[] {
  const pairs = ACT_NAMES.flatMap((one, n) =>
    ACT_NAMES.slice(n).flatMap((other): (readonly [ActName, ActName])[] =>
      one === other || !(isRepeat(one) || isRepeat(other)) ? [[one, other]] : [],
    ),
  );
  return pairs.flatMap((names) => {
    const wanted = wantedBy(names);
    const isClaimed = names.some((name) => name.startsWith("claim"));
    const acts = [ACTS[names[0]], ACTS[names[1]]] as const;
    const starts = STARTS.filter((start) => isClaimed || start !== "queued with a limit");
    return starts.map((start): Case => ({ names, acts, start, wanted }));
  });
}

/** They give the lease to somebody else, and these go by it. */
const TAKEN: readonly string[] = ["begin", "claim"];
const HELD: readonly string[] = [
  ...[
    "heartbeat",
    "complete step",
    "fail step",
    "write state",
    "complete",
    "fail",
    "release",
    "suspend",
  ],
];

/**
 * In a random order in which every other case is of a lease that is taken from its holder, while there are such cases:
 * they are few, and where there is no time for all they would seldom be among the first.
 */
export function dealt(cases: readonly Case[], random: (below: number) => number): Case[] {
  const isTaken = ({ names }: Case) =>
    names.some((name) => TAKEN.includes(name)) && names.some((name) => HELD.includes(name));
  const taken = shuffled(cases.filter(isTaken), random);
  const others = shuffled(
    cases.filter((one) => !isTaken(one)),
    random,
  );
  const longer = Math.max(taken.length, others.length);
  return Array.from({ length: longer }, (_, n) => [taken[n], others[n]])
    .flat()
    .filter((one) => one !== undefined);
}

const isRepeat = (name: ActName): boolean => ACTS[name].isRepeat === true;

/** What the run must be like for these operations to have something to do. */
function wantedBy(names: readonly ActName[]): Wanted {
  const has = (...some: readonly ActName[]) => some.some((name) => names.includes(name));
  /** How the run fails depends on whether the step was completed before. */
  const isJudged = has("fail") && has("complete step");
  return {
    isRisky: isJudged || has("fail step", "review"),
    isOverdue: has("pass deadlines", "set deadline"),
    isExpired: has("drop unclaimed"),
    isSlept: has("wake sleepers"),
    isGateOver: has("expire gates"),
    isAged: has("retention"),
    hasChild: has("child ends"),
  };
}
