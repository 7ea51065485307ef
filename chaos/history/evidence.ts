/** Everything that a trial leaves behind; the checks read nothing else. Instants are `now()`: one clock for all processes of a machine. */
export interface Evidence {
  readonly seed: number;
  /** Ids of the workloads that were driven. */
  readonly workloads: readonly string[];
  /** What clients asked and heard, in the order of `at`. */
  readonly ops: readonly Op[];
  /** What the steps' functions really did, in the oracle's order. */
  readonly effects: readonly Effect[];
  /** What the webhooks' receivers got. */
  readonly deliveries: readonly Delivered[];
  readonly faults: readonly Fired[];
  readonly processes: readonly Ended[];
  /** When all faults had been healed and the load had stopped, and when the store was read. */
  readonly healedAt: number;
  readonly readAt: number;
  readonly final: FinalRead;
}

/**
 * One end of a call. `invoke` is written before it is sent. `ok` and `fail` (refused, nothing was
 * done) are certain; `info` is an answer that was lost: it may have happened, and may yet.
 */
export interface Op {
  readonly at: number;
  /** The process with its incarnation, such as `worker2.1`. */
  readonly proc: string;
  readonly workload: string;
  /** The operation or SDK verb, such as `step`, `runs.create`, `gates.resolve`, `state.append`, `events.read`. */
  readonly f: string;
  /** What it is about: a run id, gate id, dedupe key. */
  readonly key: string;
  readonly type: "invoke" | "ok" | "fail" | "info";
  /** Unique to the call; its `invoke` and its end have the same. */
  readonly call: string;
  readonly value?: unknown;
}

/** A line of the oracle: on disk before the step's function went on. */
export interface Effect {
  readonly seq: number;
  readonly at: number;
  readonly run: string;
  readonly step: string;
  readonly attempt: number;
  readonly proc: string;
  /** Unique to the execution of the function; the step's output holds it. */
  readonly nonce: string;
}

/** A request at a receiver of webhooks. */
export interface Delivered {
  readonly at: number;
  readonly receiver: string;
  readonly id: string;
  readonly type: string;
  readonly runId: string;
  /** Whether its signature is right for the secret of its endpoint. */
  readonly signed: boolean;
  /** What the receiver answered; 0: it hung or broke off. */
  readonly status: number;
}

/** A fault of the nemesis, from its blow to its healing. */
export interface Fired {
  readonly id: string;
  readonly told: string;
  readonly from: number;
  readonly to: number;
  /** When it had struck: what prepared it is over. As `from`, where it is not said. */
  readonly struck?: number | undefined;
  /** What the store held while it lasted, where nothing may be left undone even then. */
  readonly look?: Look | undefined;
}

/** A read of the store in the middle of a trial; `since`: what was due then, or later, has had until `at`. */
export interface Look {
  readonly since: number;
  readonly at: number;
  /** Without what the fault itself keeps from being done. */
  readonly final: FinalRead;
}

/** A process of ours that ended or was ended. */
export interface Ended {
  readonly name: string;
  readonly role: "server" | "worker" | "client" | "oracle";
  /** Whether the nemesis or the end of the trial did it. */
  readonly meant: boolean;
  readonly code: number | null;
  readonly signal: string | null;
  /** Its last lines on stderr. */
  readonly stderr: string;
}

/** Rows of the store after healing, by table; column names as in Postgres. bigint columns are numbers. */
export interface FinalRead {
  readonly tables: Readonly<Record<string, readonly Row[]>>;
  /** Backends that were `idle in transaction`, or have waited for a lock for over 5 s. */
  readonly stuck: readonly Row[];
  /** The database's clock at the read, as an ISO text. */
  readonly now?: string;
}

export type Row = Readonly<Record<string, unknown>>;

/** Milliseconds of the machine's monotonic clock, the same in every process. */
export const now = (): number => Number(process.hrtime.bigint()) / 1e6;
