import { type AnyOperation, operations, SCOPES, TidebaseError, toJson } from "@tidebase/core";
import { sweepsOf } from "../../core/src/core.ts";
import type { Seat } from "./bench.ts";
import type { Move } from "./model.ts";
import * as outside from "./outside-moves.ts";
import { CHILD, HOLDER, SIGNAL, STEP, waitsOf } from "./starts.ts";
import * as worker from "./worker-moves.ts";

/** The run of a case, as operations name it. */
interface Subject {
  readonly runId: string;
  readonly gateId: string;
  readonly childRunId: string;
  readonly hasChild: boolean;
  readonly digest: string;
  readonly queue: string;
}

/** Who acts on it: a seat, with the grant that it would begin or claim by. */
interface Caller extends Seat {
  readonly grantId: string;
}

/** An operation as it is called, and as the model has it. */
export interface Acting {
  readonly moves: readonly Move[];
  /** It passes by rows that somebody has locked: the next round finds them. */
  readonly skipsLocked?: true;
  /** Two that are sent at once are the same call, sent twice. */
  readonly isRepeat?: true;
  call(caller: Caller, run: Subject): Promise<string>;
}

type Answer = Record<string, unknown>;

const leaseOf = ({ runId }: Subject) => ({ runId, epoch: 1, grantId: `grant_${HOLDER}` });
const named = new Map(operations.map((one): [string, AnyOperation] => [one.name, one]));

/** Its answer in a word, or the code of a declared error; all else is thrown. */
async function said(
  { core, lane }: Caller,
  name: string,
  input: object,
  read: (answer: Answer) => unknown,
): Promise<string> {
  const operation = named.get(name);
  if (operation === undefined) throw new Error(`No operation ${name}.`);
  const actor = { name: `human ${lane.name}`, scopes: SCOPES, via: "tty" };
  try {
    return String(read(JSON.parse(toJson(await core.execute(operation, input, actor)))));
  } catch (error) {
    if (error instanceof TidebaseError && operation.errors.includes(error.code)) return error.code;
    throw error;
  }
}

const first = ({ results }: Answer): unknown => (results as Answer[])[0]?.["outcome"];
const outcome = (answer: Answer): unknown => answer["outcome"];

/** One round of a sweep, as the reconciler makes it. */
async function swept({ db }: Caller, name: string): Promise<string> {
  const sweep = sweepsOf({ sweepGraceMs: 0 }).find((one) => one.name === name);
  if (sweep === undefined) throw new Error(`No sweep ${name}.`);
  sweep.reached?.(true);
  const items = await sweep.find(db);
  const settled = items.length === 0 ? [] : await sweep.settle(db, items);
  return settled[0] === undefined || settled[0].outcome === "moved"
    ? "nothing"
    : settled[0].outcome;
}

const LEASE_MS = 3_600_000;

function begins(isRepeat: boolean): Acting {
  return {
    moves: [worker.begin],
    ...(isRepeat && { isRepeat }),
    call: (caller, { runId }) =>
      said(caller, "runs.begin", { runId, grantId: caller.grantId, leaseMs: LEASE_MS }, (answer) =>
        answer["outcome"] === "begun" ? `begun ${answer["epoch"]}` : answer["outcome"],
      ),
  };
}

function claims(isRepeat: boolean): Acting {
  return {
    moves: [worker.claim],
    skipsLocked: true,
    ...(isRepeat && { isRepeat }),
    call: (caller, { queue }) =>
      said(
        caller,
        "queues.claim",
        { queue, grantId: caller.grantId, leaseMs: LEASE_MS },
        ({ runs }) => {
          const [grant] = runs as Answer[];
          return grant === undefined ? "nothing" : `begun ${grant["epoch"]}`;
        },
      ),
  };
}

function decides(decision: "approved" | "rejected"): Acting {
  return {
    moves: [outside.decide(decision)],
    call: (caller, { gateId, digest }) =>
      said(caller, "gates.resolve", { gateId, digest, decision }, ({ gate }) =>
        String((gate as Answer)["status"]),
      ),
  };
}

function sweeps(name: string, moves: readonly Move[]): Acting {
  return { moves, skipsLocked: true, call: (caller) => swept(caller, name) };
}

const acts = {
  begin: begins(false),
  "begin again": begins(true),
  claim: claims(false),
  "claim again": claims(true),
  heartbeat: {
    moves: [worker.heartbeat],
    call: (caller, run) => said(caller, "runs.heartbeat", { items: [leaseOf(run)] }, first),
  },
  "complete step": {
    moves: [worker.completeStep],
    call: (caller, run) => {
      const items = [{ ...leaseOf(run), name: STEP, output: 1 }];
      return said(caller, "steps.complete", { items }, first);
    },
  },
  "fail step": {
    moves: [worker.failStep],
    call: (caller, run) => {
      const items = [{ ...leaseOf(run), name: STEP, error: {}, message: "no" }];
      return said(caller, "steps.fail", { items }, first);
    },
  },
  "write state": {
    moves: [worker.writeState],
    call: (caller, run) => {
      const input = { ...leaseOf(run), stream: "main", kind: "set", value: 1 };
      return said(caller, "state.write", input, ({ version }) => `version ${version}`);
    },
  },
  complete: {
    moves: [worker.complete],
    call: (caller, run) => said(caller, "runs.complete", { items: [leaseOf(run)] }, first),
  },
  fail: {
    moves: [worker.fail],
    call: (caller, run) => {
      const input = { ...leaseOf(run), error: { name: "Error", message: "no" } };
      return said(
        caller,
        "runs.fail",
        input,
        ({ status, failureClass }) => `failed ${status} ${failureClass}`,
      );
    },
  },
  release: {
    moves: [worker.release],
    call: (caller, run) => said(caller, "runs.release", leaseOf(run), outcome),
  },
  suspend: {
    moves: [worker.suspend],
    call: (caller, run) => {
      const waits = waitsOf(run.gateId, run.hasChild);
      return said(caller, "runs.suspend", { ...leaseOf(run), waits }, outcome);
    },
  },
  "child ends": {
    moves: [worker.endChild],
    call: (caller, { childRunId }) => {
      const items = [{ runId: childRunId, epoch: 1, grantId: `grant_${CHILD}` }];
      return said(caller, "runs.complete", { items }, first);
    },
  },
  cancel: {
    moves: outside.cancel,
    call: (caller, { runId }) =>
      said(caller, "runs.cancel", { runId }, ({ status, already }) =>
        already === true ? `${status} already` : status,
      ),
  },
  "set deadline": {
    moves: [outside.setDeadline],
    call: (caller, { runId }) =>
      said(caller, "runs.deadline", { runId, deadlineMs: LEASE_MS }, () => "set"),
  },
  signal: {
    moves: [outside.signal],
    call: (caller, { runId }) =>
      said(caller, "signals.send", { runId, name: SIGNAL, key: "once" }, ({ recorded }) =>
        recorded === true ? "recorded" : "sent",
      ),
  },
  approve: decides("approved"),
  reject: decides("rejected"),
  recover: {
    moves: outside.recover,
    call: (caller, { runId }) =>
      said(caller, "runs.recover", { runId, dryRun: false }, () => "ready"),
  },
  redrive: {
    moves: outside.redrive,
    call: (caller, { queue }) =>
      said(caller, "queues.redrive", { queue, dryRun: false }, ({ redriven }) =>
        redriven === 1 ? "redriven" : "nothing",
      ),
  },
  review: {
    moves: [outside.review],
    call: (caller, { runId }) => {
      const input = { runId, name: STEP, decision: "retry", reason: "looked", dryRun: false };
      return said(caller, "steps.review", input, () => "reviewed");
    },
  },
  fork: {
    moves: outside.fork,
    call: (caller, { runId }) =>
      said(caller, "runs.fork", { runId, queue: null, dryRun: false }, () => "forked"),
  },
  "lose workers": sweeps("lost_workers", outside.loseWorkers),
  "pass deadlines": sweeps("deadlines", outside.passDeadlines),
  "drop unclaimed": sweeps("unclaimed_runs", outside.dropUnclaimed),
  "wake sleepers": sweeps("due_waits", outside.wakeSleepers),
  "expire gates": sweeps("expired_gates", outside.expireGates),
  retention: {
    moves: [outside.forget],
    skipsLocked: true,
    call: async ({ db }, { runId }) => {
      const sweep = sweepsOf({}).find(({ name }) => name === "retention");
      const [settled] = (await sweep?.settle(db, [{ rootRunId: runId }])) ?? [];
      return settled?.outcome === "deleted" ? "deleted" : "nothing";
    },
  },
} as const satisfies Record<string, Acting>;

/** Every operation that is tried against every other on one run. */
export const ACTS: Readonly<Record<ActName, Acting>> = acts;
export type ActName = keyof typeof acts;
export const ACT_NAMES = Object.keys(acts) as readonly ActName[];
