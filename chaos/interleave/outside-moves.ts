import { changed, happened, isFinal, type Move, ready, type State } from "./model.ts";

/*
 * What others do to the run: operators, humans, other programs, and the sweeps. A sweep looks for what is due and settles
 * it later, when it asks again.
 */

const NOTHING = "nothing";

function cancelled(state: State): State {
  const gate = state.gate === "open" ? "closed" : state.gate;
  const end = { status: "cancelled", failureClass: null, isLive: false, waits: [], gate };
  const isAged = false; // it ends now
  return changed(state, { ...end, isAged }, "run.cancelled");
}

/** The children follow in commits of their own. */
const cascade: Move = (state) => {
  const isOpen = state.child !== null && !["completed", "cancelled"].includes(state.child);
  const isOver = state.isGone || state.status !== "cancelled";
  return { state: isOpen && !isOver ? { ...state, child: "cancelled" } : state };
};

export const cancel: readonly Move[] = [
  (state) => {
    if (state.isGone) return { state, answer: "run_not_found", isOver: true };
    if (state.status === "completed") return { state, answer: "run_completed", isOver: true };
    if (state.status === "cancelled") return { state, answer: "cancelled already" };
    return { state: cancelled(state), answer: "cancelled" };
  },
  cascade,
];

const closedBy = ({ isGone, status }: State): string | undefined => {
  if (isGone) return "run_not_found";
  return status === "completed" || status === "cancelled" ? `run_${status}` : undefined;
};

/** Its deadline is put off. */
export const setDeadline: Move = (state) => {
  const answer = closedBy(state);
  if (answer !== undefined) return { state, answer };
  return { state: changed(state, { isOverdue: false }, "run.deadline_set"), answer: "set" };
};

/** Always the same key: the second is known. */
export const signal: Move = (state) => {
  if (!state.isGone && state.signals > 0) return { state, answer: "recorded" };
  const answer = closedBy(state);
  if (answer !== undefined) return { state, answer };
  const told = happened({ ...state, signals: state.signals + 1 }, "signal", "signal.sent");
  return { state: told, answer: "sent" };
};

/** One decision for ever; the same again is the same answer. */
export const decide =
  (decision: "approved" | "rejected"): Move =>
  (state) => {
    const { isGone, gate, isGateOver } = state;
    if (isGone || gate === null) return { state, answer: "gate_not_found" };
    if (gate !== "open")
      return { state, answer: gate === decision ? decision : "gate_already_resolved" };
    if (isGateOver) return { state, answer: "gate_expired" };
    return {
      state: happened({ ...state, gate: decision }, "gate", "gate.resolved"),
      answer: decision,
    };
  };

/** Acts on exactly what it has read: a run that has moved since is refused. */
export const recover: readonly Move[] = [
  (state) =>
    state.isGone
      ? { state, answer: "run_not_found", isOver: true }
      : { state, memo: state.events.length },
  (state, _who, seen) => {
    const { status, isLive } = state;
    const answer = closedBy(state);
    if (answer !== undefined) return { state, answer };
    if (state.events.length !== seen) return { state, answer: "run_changed" };
    if (status === "running" && isLive) return { state, answer: "run_leased" };
    if (status === "waiting") return { state, answer: "run_waiting" };
    return { state: recovered(state), answer: "ready" };
  },
];

function recovered(state: State): State {
  const fresh = { ...ready(state), failureClass: null, attempts: 0, isAged: false };
  return changed(state, fresh, "recovery.requested");
}

/** Dead letters that wait for no review. */
export const redrive: readonly Move[] = [
  (state) => {
    const { isGone, hasQueue, status, failureClass } = state;
    const isDead = !isGone && hasQueue && status === "failed" && failureClass !== "manual_review";
    return isDead ? { state } : { state, answer: NOTHING, isOver: true };
  },
  (state) =>
    state.isGone || state.status !== "failed"
      ? { state, answer: NOTHING }
      : { state: recovered(state), answer: "redriven" },
];

/** A review says that the step did not happen. A worker that vanished loses its lease by it; who sleeps wakes. */
export const review: Move = (state) => {
  const { status, step, grant, isLive, isRisky, hasQueue, attempts } = state;
  const refused = closedBy(state);
  if (refused !== undefined) return { state, answer: refused };
  if (step === null) return { state, answer: "step_not_found" };
  const isStalled = status === "running" && !isLive;
  const isExecuted = status === "running" && grant === "holder" && !isStalled;
  const isReviewable =
    step === "manual_review" || step === "failed" || (step === "begun" && isRisky && !isExecuted);
  if (!isReviewable) return { state, answer: "step_not_in_review" };
  const settled = { ...state, step: "failed_retryable" };
  if (isStalled) {
    const end = { status: hasQueue ? "queued" : "interrupted", isLive: false };
    const events = [hasQueue ? "run.queued" : "run.interrupted", "step.reviewed"];
    return {
      state: changed(settled, { ...end, attempts: attempts + 1 }, ...events),
      answer: "reviewed",
    };
  }
  return { state: happened(settled, "timer", "step.reviewed"), answer: "reviewed" };
};

/** The source is only read. */
export const fork: readonly Move[] = [
  (state) => (state.isGone ? { state, answer: "run_not_found", isOver: true } : { state }),
  (state) =>
    state.isGone
      ? { state, answer: "run_not_found" }
      : { state: { ...state, forks: state.forks + 1 }, answer: "forked" },
];

/** Found without a lock, settled where it is still due. */
function sweep(isDue: (state: State) => boolean, settle: (state: State) => State, answer: string) {
  const isThere = (state: State) => !state.isGone && isDue(state);
  const moves: readonly Move[] = [
    (state) => (isThere(state) ? { state } : { state, answer: NOTHING, isOver: true }),
    (state) => (isThere(state) ? { state: settle(state), answer } : { state, answer: NOTHING }),
  ];
  return moves;
}

export const loseWorkers = sweep(
  ({ status, isLive }) => status === "running" && !isLive,
  (state) => {
    const attempts = state.attempts + 1;
    const isSpent = attempts >= state.maxAttempts;
    const status = state.hasQueue ? (isSpent ? "failed" : "queued") : "interrupted";
    const failureClass = status === "failed" ? "worker_lost" : null;
    return changed(state, { status, failureClass, attempts }, `run.${status}`);
  },
  "interrupted",
);

/** Its children are left to another sweep. */
export const passDeadlines = sweep(
  (state) => state.isOverdue && !isFinal(state),
  cancelled,
  "cancelled",
);

export const dropUnclaimed = sweep(
  ({ status, isExpired }) => status === "queued" && isExpired,
  cancelled,
  "cancelled",
);

export const wakeSleepers = sweep(
  ({ status, isSlept }) => status === "waiting" && isSlept,
  (state) => happened(state, "timer", "timer.fired"),
  "woken",
);

export const expireGates = sweep(
  ({ gate, isGateOver }) => gate === "open" && isGateOver,
  (state) => happened({ ...state, gate: "expired" }, "gate", "gate.expired"),
  "expired",
);

/** It looked long ago, and now asks again under the locks. A child that has not ended keeps the whole tree. */
export const forget: Move = (state) => {
  const isEnded = ["completed", "cancelled", "failed"].includes(state.status);
  const isKept = state.isGone || !isEnded || !state.isAged || state.child !== null;
  return isKept
    ? { state, answer: NOTHING }
    : { state: { ...state, isGone: true }, answer: "deleted" };
};
