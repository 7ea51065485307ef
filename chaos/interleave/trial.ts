import type { FinalRead } from "./final-read.ts";
import { type Act, type Move, outcomes, type State, shown } from "./model.ts";
import { everyOrder } from "./orders.ts";
import type { Choose, Ran } from "./scheduler.ts";
import { type Case, laneName, type Stand } from "./stand.ts";

/** What a case came to. */
export interface Tried {
  /** Orders of statements, those at the lock among them. */
  readonly orders: number;
  /** Orders in which both queued up behind the run's lock, so that both began with old snapshots. */
  readonly atLock: number;
  /** Statements that waited for another's lock. */
  readonly blocked: number;
  readonly isWhole: boolean;
  /** Each is a sentence with the order that shows it. */
  readonly problems: readonly string[];
}

/** How many orders of a case at most, and what draws them when there are more. */
interface Bounds {
  readonly limit: number;
  readonly random: (below: number) => number;
}

/** Tries all orders of the case; undefined when neither operation can do anything there. */
export async function tryCase(stand: Stand, one: Case, bounds: Bounds): Promise<Tried | undefined> {
  const from = await stand.prepared(one);
  if (!one.acts.some(({ moves }) => canAct(from.state, moves))) return undefined;
  const problems: string[] = [];
  let [blocked, atLock] = [0, 0];
  const order = async (choose: Choose, isAtLock: boolean): Promise<void> => {
    const { ran, read } = await stand.once(one, from, { choose, isAtLock });
    blocked += ran.blocked;
    problems.push(...judge(one, from.state, ran, read));
  };
  const { orders, isWhole } = await everyOrder((choose) => order(choose, false), bounds);
  for (const first of [0, 1]) {
    if (first === 1 && one.names[0] === one.names[1]) continue;
    await order((able) => able.find(({ lane }) => lane === first)?.lane ?? 1 - first, true);
    atLock += 1;
  }
  return { orders: orders + atLock, atLock, blocked, isWhole, problems };
}

function canAct(state: State, moves: readonly Move[]): boolean {
  const alone = outcomes(state, [{ moves, who: { grant: "a" } }]);
  return alone.some(({ run }) => JSON.stringify(run) !== JSON.stringify(state));
}

/** What skips locked rows has found its row locked. */
const PASSED_BY: readonly Move[] = [(state) => ({ state, answer: "nothing" })];

/** The problems of one order: what the rows say by themselves, and where no order of the model's moves explains them. */
function judge(
  { names, acts, start }: Case,
  state: State,
  ran: Ran,
  { run, broken }: FinalRead,
): string[] {
  const isRepeat = acts[0].isRepeat === true;
  const ways = acts.map(({ moves, skipsLocked }, n): Act[] => {
    const who = { grant: isRepeat ? "both" : laneName(n) };
    const mayPass = skipsLocked === true && ran.crowded[n] === true;
    return [{ moves, who }, ...(mayPass ? [{ moves: PASSED_BY, who }] : [])];
  });
  const [first = [], second = []] = ways;
  const allowed = first.flatMap((a) => second.flatMap((b) => outcomes(state, [a, b])));
  const left = shown(run);
  const isAllowed = allowed.some(
    (one) => shown(one.run) === left && one.answers.every((said, n) => said === ran.answers[n]),
  );
  const told = [`${names[0]} × ${names[1]} from ${start}, in the order`, ran.order.join(" → ")];
  const came = `answered ${JSON.stringify(ran.answers)} and left ${left}`;
  const lines = new Set(allowed.map((one) => `${JSON.stringify(one.answers)} ${shown(one.run)}`));
  return [
    ...broken.map((sentence) => [...told, `${came}: ${sentence}`].join(" ")),
    ...(isAllowed ? [] : [[...told, `${came}; allowed is ${[...lines].join(" or ")}`].join(" ")]),
  ];
}
