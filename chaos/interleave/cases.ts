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

const isRepeat = (name: ActName): boolean => ACTS[name].isRepeat === true;

/** What the run must be like for these operations to have something to do. */
function wantedBy(names: readonly ActName[]): Wanted {
  const has = (...some: readonly ActName[]) => some.some((name) => names.includes(name));
  /** How the run fails depends on whether the step was completed before. */
  const isJudged = has("fail") && has("complete step");
  return {
    isRisky: isJudged || has("fail step", "review"),
    isOverdue: has("pass deadlines", "set deadline"),
    isSlept: has("wake sleepers"),
    isGateOver: has("expire gates"),
    isAged: has("retention"),
    hasChild: has("child ends"),
  };
}
