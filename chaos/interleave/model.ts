/*
 * A small model of one run, after the state table of model.md §1: what each operation makes of it and answers. It knows no
 * SQL, no locks and no snapshots; operations happen one after another.
 */

/** The run as the model and the final read tell it. */
export interface Run {
  /** Retention deleted it; nothing else is told of it then. */
  readonly isGone: boolean;
  readonly status: string;
  readonly hasQueue: boolean;
  readonly epoch: number;
  /** Whose grant its last lease was: `holder`, a lane, `both`; null before the first. */
  readonly grant: string | null;
  /** It is running and its lease time is not over. */
  readonly isLive: boolean;
  readonly attempts: number;
  readonly failureClass: string | null;
  /** Statuses of its one step, gate and child; null: there is none. */
  readonly step: string | null;
  readonly gate: string | null;
  readonly child: string | null;
  /** Kinds of what it waits for, sorted. */
  readonly waits: readonly string[];
  readonly signals: number;
  readonly forks: number;
  /** The versions of its state. */
  readonly versions: number;
  /** Types of the events since the start. */
  readonly events: readonly string[];
}

/** How the run of a case was prepared, and what no operation changes but where the model says so. */
export interface Circumstances {
  readonly maxAttempts: number;
  /** Its step has side effects and no key: begun and never finished, or failed, it needs a review. */
  readonly isRisky: boolean;
  /** Its deadline is past. */
  readonly isOverdue: boolean;
  /** The sleep it waits for, or would wait for, is over. */
  readonly isSlept: boolean;
  /** The time of its open gate is over. */
  readonly isGateOver: boolean;
  /** It is queued, and nobody has claimed it in time. */
  readonly isExpired: boolean;
  /** It ended longer ago than things are kept. */
  readonly isAged: boolean;
}

export type State = Run & Circumstances;

/** Who acts: the lane with the grant that it would begin or claim by. */
interface Who {
  readonly grant: string;
}

/**
 * A part of an operation that happens at once. Most operations are one move; one that looks first and acts later, or acts
 * in several commits, is several. `memo` is what an earlier move of the same operation noted.
 */
export type Move = (state: State, who: Who, memo: unknown) => Moved;

/** What a move came to; without an answer the next move gives it. `isOver`: the operation ends early. */
interface Moved {
  readonly state: State;
  readonly answer?: string;
  readonly memo?: unknown;
  readonly isOver?: boolean;
}

/** An operation of a case: its moves by one of the lanes. */
export interface Act {
  readonly moves: readonly Move[];
  readonly who: Who;
}

/** One way a case may end. */
interface Outcome {
  readonly answers: readonly string[];
  readonly run: State;
}

export const isFinal = ({ status }: Run): boolean =>
  status === "completed" || status === "cancelled";

/** The run with these changes, and the events that tell of them. */
export function changed(
  state: State,
  changes: Partial<State>,
  ...events: readonly string[]
): State {
  return { ...state, ...changes, events: [...state.events, ...events] };
}

/** Ready to be begun or claimed again, whoever made it so. */
export const ready = ({ hasQueue }: Run): Partial<State> => ({
  status: hasQueue ? "queued" : "pending",
  isLive: false,
  waits: [],
});

/** Something that happened: it wakes the run that waits for this kind. */
export function happened(state: State, kind: string, event: string): State {
  const told = changed(state, {}, event);
  if (state.status !== "waiting" || !state.waits.includes(kind)) return told;
  return changed(told, ready(state), "run.woken");
}

/** Every way in which the acts' moves may follow one another: for acts of one move each, their serial orders. */
export function outcomes(start: State, acts: readonly Act[]): Outcome[] {
  interface Progress {
    readonly at: number;
    readonly answer: string;
    readonly memo: unknown;
  }
  const found = new Map<string, Outcome>();
  function go(state: State, progress: readonly Progress[]): void {
    let isOver = true;
    for (const [n, { moves, who }] of acts.entries()) {
      const { at, answer, memo } = progress[n] as Progress;
      const move = moves[at];
      if (move === undefined) continue;
      isOver = false;
      const moved = move(state, who, memo);
      const next = {
        at: moved.isOver === true ? moves.length : at + 1,
        answer: moved.answer ?? answer,
        memo: moved.memo ?? memo,
      };
      go(moved.state, progress.with(n, next));
    }
    if (!isOver) return;
    const outcome = { answers: progress.map(({ answer }) => answer), run: state };
    found.set(JSON.stringify(outcome), outcome);
  }
  go(
    start,
    acts.map(() => ({ at: 0, answer: "", memo: undefined })),
  );
  return [...found.values()];
}

/** What can be held against the store: no circumstances, and nothing of a run that is gone. */
export function shown(run: Run): string {
  if (run.isGone) return JSON.stringify({ isGone: true });
  const { isGone: _, status, hasQueue, epoch, grant, isLive, attempts, failureClass } = run;
  const { step, gate, child, waits, signals, forks, versions, events } = run;
  return JSON.stringify({
    ...{ status, hasQueue, epoch, grant, isLive, attempts, failureClass },
    ...{ step, gate, child, waits: [...waits].sort(), signals, forks, versions, events },
  });
}
