/** A call on a single register, such as a gate's decision. */
export interface Access<State> {
  /** For the message. */
  readonly told: string;
  readonly from: number;
  /** Infinity when its answer was lost. */
  readonly to: number;
  /** Whether it must have happened; what may or may not have happened is left out where that fits. */
  readonly certain: boolean;
  /** Where it would change nothing it never needs to come later: a read, or a write to what is written once. */
  readonly settles: boolean;
  /** The state after it, undefined when its answer contradicts the state that it met. */
  apply(state: State): State | undefined;
}

interface Node<State> {
  readonly state: State;
  /** Those that have been put in an order. */
  readonly done: ReadonlySet<number>;
}

/**
 * Looks for an order of the accesses in which each finds what it was answered and none comes before one that had ended
 * before it began (Herlihy and Wing 1990; the search of Wing and Gong 1993, which remembers what it has tried, after
 * Lowe 2017). Undefined when there is one; else the accesses that no order could place behind the longest that it found.
 * States are compared by `keyOf`. Meant for up to some hundred accesses of one register.
 */
export function unexplained<State>(
  initial: State,
  accesses: readonly Access<State>[],
  keyOf: (state: State) => string = String,
): readonly Access<State>[] | undefined {
  const tried = new Set<string>();
  const open: Node<State>[] = [{ state: initial, done: new Set() }];
  let furthest: ReadonlySet<number> = new Set();
  for (let node = open.pop(); node !== undefined; node = open.pop()) {
    node = withSettled(node, accesses, keyOf);
    if (isExplained(node, accesses)) return undefined;
    if (node.done.size > furthest.size) furthest = node.done;
    const name = `${keyOf(node.state)} ${[...node.done].sort((a, b) => a - b).join()}`;
    if (tried.has(name)) continue;
    tried.add(name);
    for (const i of next(node, accesses)) {
      const state = accesses[i]?.apply(node.state);
      if (state !== undefined) open.push({ state, done: new Set([...node.done, i]) });
    }
  }
  return accesses.filter(({ certain }, i) => certain && !furthest.has(i));
}

/** With all that may come next and has nothing to wait for. */
function withSettled<State>(
  { state, done }: Node<State>,
  accesses: readonly Access<State>[],
  keyOf: (state: State) => string,
): Node<State> {
  const all = new Set(done);
  for (let size = -1; size !== all.size; ) {
    size = all.size;
    for (const i of next({ state, done: all }, accesses)) {
      const after = accesses[i]?.settles === true ? accesses[i].apply(state) : undefined;
      if (after !== undefined && keyOf(after) === keyOf(state)) all.add(i);
    }
  }
  return { state, done: all };
}

function isExplained<State>({ done }: Node<State>, accesses: readonly Access<State>[]): boolean {
  return accesses.every(({ certain }, i) => !certain || done.has(i));
}

/** Those left that began before any of those left, and certain, had ended. */
function next<State>({ done }: Node<State>, accesses: readonly Access<State>[]): number[] {
  let firstEnd = Number.POSITIVE_INFINITY;
  accesses.forEach(({ certain, to }, i) => {
    if (certain && !done.has(i)) firstEnd = Math.min(firstEnd, to);
  });
  return accesses.flatMap(({ from }, i) => (done.has(i) || from > firstEnd ? [] : [i]));
}
