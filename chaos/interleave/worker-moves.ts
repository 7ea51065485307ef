import { changed, happened, isFinal, type Move, ready, type State } from "./model.ts";

/*
 * What a worker does under the lease of `holder`, granted under epoch 1 before the case; and how a lease is got.
 */

const isGranted = ({ grant }: State): boolean => grant === "holder";
const isFenced = (state: State): boolean => isGranted(state) && state.status === "running";

/** Why the holder's lease is not good; undefined when it is. */
function refusal(state: State): string | undefined {
  if (state.isGone) return "run_not_found";
  if (state.status === "cancelled") return "run_cancelled";
  return isFenced(state) ? undefined : "lease_lost";
}

/** A move of the holder; who repeats what this grant has done gets the recorded answer. */
function fenced(
  act: (state: State) => { state: State; answer: string },
  recorded: (state: State) => string | undefined = () => undefined,
): Move {
  return (state) => {
    const known = isGranted(state) && !state.isGone ? recorded(state) : undefined;
    const answer = known ?? refusal(state);
    return answer === undefined ? act(state) : { state, answer };
  };
}

const begun = (state: State, grant: string, more: Partial<State> = {}) => {
  const epoch = state.epoch + 1;
  const lease = { status: "running", epoch, grant, isLive: true };
  const fresh = { failureClass: null, waits: [], isAged: false };
  return {
    state: changed(state, { ...lease, ...fresh, ...more }, "run.begun"),
    answer: `begun ${epoch}`,
  };
};

export const begin: Move = (state, { grant }) => {
  const { status, hasQueue, epoch, attempts, isLive } = state;
  if (state.isGone) return { state, answer: "run_not_found" };
  if (status === "running" && state.grant === grant) return { state, answer: `begun ${epoch}` };
  const isAtRest = ["pending", "waiting", "interrupted", "failed"].includes(status);
  if (!hasQueue && isAtRest) return begun(state, grant);
  if (!hasQueue && status === "running" && !isLive)
    return begun(state, grant, { attempts: attempts + 1 });
  if (status === "cancelled") return { state, answer: "run_cancelled" };
  if (status === "completed") return { state, answer: "completed" };
  return { state, answer: status === "running" ? "run_leased" : "run_in_queue" };
};

export const claim: Move = (state, { grant }) => {
  const { isGone, status, epoch, hasQueue, isOverdue, isExpired } = state;
  if (!isGone && hasQueue && status === "running" && state.grant === grant)
    return { state, answer: `begun ${epoch}` };
  return isGone || status !== "queued" || isOverdue || isExpired
    ? { state, answer: "nothing" }
    : begun(state, grant);
};

export const heartbeat = fenced((state) => ({
  state: changed(state, { isLive: true }),
  answer: "held",
}));

export const writeState = fenced((state) => {
  const versions = state.versions + 1;
  const written = changed(state, { versions, isLive: true }, "state.set");
  return { state: written, answer: `version ${versions}` };
});

/** Settled steps answer with what they are. */
export const completeStep = fenced((state) => {
  const { step } = state;
  if (step === "completed") return { state, answer: "completed" };
  if (step === "manual_review") return { state, answer: "manual_review_required" };
  if (step === "failed") return { state, answer: "step_failed" };
  const done = { step: "completed", isLive: true };
  return { state: changed(state, done, "step.completed"), answer: "completed" };
});

export const failStep = fenced((state) => {
  if (state.step !== "begun") return { state, answer: String(state.step) };
  const step = state.isRisky ? "manual_review" : "failed_retryable";
  return { state: changed(state, { step, isLive: true }, "step.failed"), answer: step };
});

export const complete = fenced(
  (state) => {
    const gate = state.gate === "open" ? "closed" : state.gate;
    const end = { status: "completed", isLive: false, gate };
    return { state: changed(state, end, "run.completed"), answer: "completed" };
  },
  ({ status }) => (status === "completed" ? "completed" : undefined),
);

const failedAs = ({ status, failureClass }: State): string => `failed ${status} ${failureClass}`;

/** A step of unknown outcome rests it for a review; else its queue has it again while attempts are left. */
export const fail = fenced(
  (state) => {
    const { step, isRisky, hasQueue, maxAttempts } = state;
    const attempts = state.attempts + 1;
    const isUnknown = step === "manual_review" || (step === "begun" && isRisky);
    const spent = attempts >= maxAttempts ? "max_attempts" : null;
    const failureClass = isUnknown ? "manual_review" : hasQueue ? spent : "workflow_error";
    const status = failureClass === null ? "queued" : "failed";
    const end = { status, failureClass, attempts, isLive: false };
    const failed = changed(state, end, `run.${status}`);
    return { state: failed, answer: failedAs(failed) };
  },
  (state) => (["failed", "queued"].includes(state.status) ? failedAs(state) : undefined),
);

export const release = fenced(
  (state) => ({ state: changed(state, ready(state), "run.released"), answer: "released" }),
  ({ status }) => (["pending", "queued"].includes(status) ? "released" : undefined),
);

/** Waits for its gate, its timer, a signal, and its child if it has one. */
export const suspend = fenced(
  (state) => {
    const { gate, isGateOver, isSlept, signals, child } = state;
    const isEnded = child !== null && ["completed", "cancelled", "failed"].includes(child);
    if (gate !== "open" || isGateOver || isSlept || signals > 0 || isEnded)
      return { state, answer: "resumeNow" };
    const waits = ["gate", "signal", "timer", ...(child === null ? [] : ["child"])];
    const end = { status: "waiting", isLive: false, waits };
    return { state: changed(state, end, "run.suspended"), answer: "waiting" };
  },
  ({ status }) => (["waiting", "pending", "queued"].includes(status) ? "waiting" : undefined),
);

/** The child's own worker ends it; its parent is told in the same commit, unless that is final. */
export const endChild: Move = (state) => {
  if (state.child === null) return { state, answer: "run_not_found" };
  if (state.child === "completed") return { state, answer: "completed" };
  if (state.child === "cancelled") return { state, answer: "run_cancelled" };
  const ended = { ...state, child: "completed" };
  const told = isFinal(state) ? ended : happened(ended, "child", "child.ended");
  return { state: told, answer: "completed" };
};
