import type { Delivered, Effect, Ended, Op } from "../history/evidence.ts";
import type { Link } from "../proxy/link.ts";
import type { Receivers } from "../workloads/receivers.ts";

/** A program that takes part in a trial and can be hurt. */
export interface Actor {
  /** Its name with its incarnation, such as `server1.0`. */
  readonly name: string;
  readonly role: Ended["role"];
  readonly pid: number;
  readonly running: boolean;
  /** Sends the signal; after one that ends it, resolves when it is gone. SIGSTOP and SIGCONT return at once. */
  signal(signal: NodeJS.Signals): Promise<void>;
  /** Starts its next incarnation, after it has ended; resolves when that one is ready. Other variables than before, if any. */
  restart(variables?: Readonly<Record<string, string>>): Promise<void>;
}

/** A Postgres of the trial's own, fsync on. */
interface TrialPostgres {
  /** The trial's database, past all proxies: for reading and for hurting. */
  readonly url: string;
  /** The pid of its postmaster. */
  pid(): Promise<number>;
  /** Ends it without a checkpoint, unless it has ended, and starts it again after this; resolves when it serves. */
  restart(meanwhile: () => Promise<unknown>): Promise<void>;
}

/** Keys of the trial's store. */
export interface Keys {
  /** Reads, operates and enqueues: workers and agents. */
  readonly worker: string;
  /** Decides gates. */
  readonly human: string;
  readonly admin: string;
}

/** All that a trial consists of, and all that a fault may touch. */
export interface World {
  readonly folder: string;
  readonly seed: number;
  readonly postgres: TrialPostgres;
  /** Between the servers and Postgres. */
  readonly databaseLink: Link;
  /** Between clients and servers: each connection to the next server that accepts. */
  readonly frontLink: Link;
  readonly servers: readonly Actor[];
  readonly workers: readonly Actor[];
  /** The address of `frontLink`. */
  readonly url: string;
  readonly oracleUrl: string;
  readonly keys: Keys;
  readonly receivers: Receivers;
  /** Runs a statement with parameters on the trial's database, past the proxies; retried while Postgres is away. */
  query(sql: string, values?: readonly unknown[]): Promise<readonly Record<string, unknown>[]>;
  /** What the processes have written until now. */
  collect(): Promise<{
    readonly ops: Op[];
    readonly effects: Effect[];
    readonly deliveries: Delivered[];
    readonly processes: Ended[];
  }>;
  /** Ends everything and removes its folder; `keep` leaves the folder. */
  close(options?: { readonly keep: boolean }): Promise<void>;
}
