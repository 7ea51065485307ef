import type { Lane, Parked } from "./lanes.ts";

/** A lane whose next statement can be sent. */
interface Runnable extends Parked {
  readonly lane: number;
}

/** Which of the runnable lanes goes next: one of them, by its number. */
export type Choose = (runnable: readonly Runnable[]) => number;

/** What one order of statements came to. */
export interface Ran {
  /** The statements as they were sent, such as `a runs.begin`. */
  readonly order: readonly string[];
  /** What each lane's work said. */
  readonly answers: readonly string[];
  /** How many statements had to wait for a lock of another. */
  readonly blocked: number;
  /** Whether others may have held a lock when the lane looked: what skips locked rows may have skipped. */
  readonly crowded: readonly boolean[];
}

/** Around the lanes. */
interface Surroundings {
  readonly choose: Choose;
  /** Whether this backend waits for somebody's lock. */
  isBlocked(backend: number): Promise<boolean>;
  /** A lock that is held from outside while nothing else can go on. */
  readonly hold?: { readonly isHeld: () => boolean; letGo(): Promise<void> };
}

/** A statement that takes longer is asked about: it may wait for a lock. */
const LOOK_MS = 2;
/** Nothing here takes so long: the order hangs. */
const HANGS_MS = 30_000;

/**
 * Runs the works at once, one statement at a time: each is sent when `choose` says so, and the next choice waits until its
 * lane is parked again, has ended, or waits for a lock; then the others go on. Throws when nothing can go on any more.
 */
export async function runOrder(
  lanes: readonly Lane[],
  works: readonly (() => Promise<string>)[],
  surroundings: Surroundings,
): Promise<Ran> {
  const { choose, hold } = surroundings;
  const order: string[] = [];
  const crowded = lanes.map(() => false);
  const waits = lanes.map(() => false);
  const since = performance.now();
  let blocked = 0;
  for (const [n, lane] of lanes.entries()) lane.start(works[n] as () => Promise<string>);
  for (;;) {
    if (performance.now() - since > HANGS_MS)
      throw new Error(`hangs after ${JSON.stringify(order)}`);
    for (const [n, lane] of lanes.entries()) {
      const isWaiting = await waitsForLock(lane, surroundings);
      if (isWaiting && !waits[n]) blocked += 1;
      waits[n] = isWaiting;
    }
    const runnable = lanes.flatMap(({ state, parked }, lane) =>
      state === "parked" && parked !== undefined ? [{ lane, ...parked }] : [],
    );
    if (runnable.length === 0) {
      if (hold?.isHeld()) await hold.letGo();
      else if (lanes.every(({ state }) => state === "done")) break;
      else await Promise.race(lanes.filter(isOut).map((lane) => lane.isStill(LOOK_MS))); // Postgres ends a deadlock
      continue;
    }
    const taken = choose(runnable);
    const lane = lanes[taken] as Lane;
    const others = lanes.filter((_, n) => n !== taken);
    crowded[taken] ||=
      hold?.isHeld() === true ||
      others.some((other) => other.isInTransaction || other.state === "flying");
    order.push(`${lane.name} ${lane.parked?.label}`);
    lane.release();
  }
  return { order, blocked, crowded, answers: lanes.map(({ answer }) => answer) };
}

const isOut = ({ state }: Lane): boolean => state === "flying";

/** Waits until the lane is still: parked or done (false), or its backend waits for a lock (true). */
async function waitsForLock(lane: Lane, { isBlocked }: Surroundings): Promise<boolean> {
  const since = performance.now();
  while (!(await lane.isStill(LOOK_MS))) {
    const { backend } = lane;
    if (backend !== undefined && (await isBlocked(backend)) && lane.backend === backend)
      return true;
    if (performance.now() - since > HANGS_MS) throw new Error(`${lane.name} hangs`);
  }
  return false;
}
