import { setMaxListeners } from "node:events";
import type { z } from "zod";
import { note } from "./access/audit.ts";
import { openAccess } from "./access/authenticate.ts";
import { isPrivileged } from "./access/rules.ts";
import { type Database, openDatabase } from "./database.ts";
import { fillsOutbox } from "./deliveries/rules.ts";
import { dueDeliveries } from "./deliveries/sql.ts";
import { staleDeliveries } from "./deliveries/stale.ts";
import { type ErrorCode, TidebaseError } from "./errors.ts";
import { type Follow, openFollow } from "./events/follow.ts";
import { openHub } from "./events/hub.ts";
import { openWatching } from "./events/watch.ts";
import { expiredGates } from "./gates/expired.ts";
import { toJson } from "./json-text.ts";
import { lostWorkers } from "./leases/lost-workers.ts";
import { DEFAULT_LIMITS, type Limits } from "./limits.ts";
import { pendingMigrations } from "./migrate.ts";
import { type Actor, type AnyOperation, parseInput } from "./operation.ts";
import { type Probe, startPulse } from "./pulse.ts";
import { pushes } from "./queues/push.ts";
import { type AnySweep, openSweeps, type SweepStatus } from "./reconciler.ts";
import { openRetentionDays } from "./retention/days.ts";
import { retentionSweep } from "./retention/sweep.ts";
import { orphanedChildren } from "./runs/cascade.ts";
import { deadlines, unclaimedRuns } from "./runs/overdue.ts";
import { dueSchedules } from "./schedules/due.ts";
import { supersededRuns } from "./schedules/superseded.ts";
import { DEFAULT_SCHEMA } from "./schema-name.ts";
import { openSessions, type Sessions } from "./sessions/sessions.ts";
import { openAddress } from "./store/address.ts";
import { queuesTouched, runsTouched } from "./touched.ts";
import { dueWaits } from "./waits/due.ts";
import { openWebhooks, type WebhookOptions } from "./webhooks/webhooks.ts";

/** What a transport holds: the model, and nothing of Postgres. */
export interface Core {
  /**
   * The only way to read or change the store: parses, checks the scope, runs. An operation that waits
   * answers early when the signal is aborted.
   */
  execute<Op extends AnyOperation>(
    operation: Op,
    input: unknown,
    actor: Actor,
    signal?: AbortSignal,
  ): Promise<z.output<Op["output"]>>;
  /** Who sends this key. Throws `key_missing` or `key_invalid`. */
  authenticate(bearer: string | undefined): Promise<Actor>;
  /** Whether the store has ever been given a key; without one it is open, on loopback only. */
  hasKeys(): Promise<boolean>;
  /** Sessions of the gate page. */
  readonly sessions: Sessions;
  /** The committed events of a run as they come; see openFollow(). */
  readonly follow: Follow;
  /** Whether the database answers, and what it lacks. Never throws. */
  status(): Promise<CoreStatus>;
  /** Sweeps now, until a round settles nothing more: for who moved the clock. Throws what kept a sweep from it. */
  settle(): Promise<void>;
  close(): Promise<void>;
}

/** What `status` tells: what health checks and `/ready` are made of. */
export interface CoreStatus {
  readonly database: { readonly reachable: boolean };
  readonly migrations: { readonly pending: readonly string[] };
  readonly sweeps: readonly SweepStatus[];
  /** How many days the store keeps what has ended: 0 for ever, null when it cannot be asked. */
  readonly retentionDays: number | null;
}

/** Which store to open, and how. */
export interface CoreOptions {
  readonly databaseUrl: string;
  /** Brings a database back that is gone; see OpenStore. */
  readonly revive?: (() => Promise<string>) | undefined;
  readonly schema?: string;
  readonly poolMax?: number;
  readonly limits?: Partial<Limits>;
  readonly readOnly?: boolean;
  /** Whether this process settles what others left behind; every writing process does by default. */
  readonly sweeps?: boolean;
  /** Pause between two looks for something to do, in milliseconds: at least this, at most a fifth more. */
  readonly sweepEveryMs?: number;
  /**
   * How long the store must have been reached without a break before a lapsed lease counts as a lost
   * worker, in milliseconds: workers that could not renew it meanwhile speak first.
   */
  readonly sweepGraceMs?: number;
  readonly webhooks?: WebhookOptions | undefined;
  /**
   * From now on the store keeps what has ended for so many days, at most 36,500; 0: for ever. Undefined leaves
   * what it was told before (30 when nothing was).
   */
  readonly retentionDays?: number | undefined;
  /** Holds every answer against its schema; tests switch it on. */
  readonly checkAnswers?: boolean;
}

/** Connects lazily: the first call of an operation, or the first sweep, touches the database. */
export function openCore(options: CoreOptions): Core {
  const { schema = DEFAULT_SCHEMA, readOnly = false } = options;
  const limits = { ...DEFAULT_LIMITS, ...options.limits };
  const address = openAddress(options);
  const db = openDatabase({ ...options, address });
  const hub = openHub(db, { address, schema, watching: () => pulse.start() });
  const { authenticate, hasKeys } = openAccess(db);
  const sweeping = (options.sweeps ?? true) && !readOnly;
  const { touched } = hub;
  const sends = sweeping && (options.webhooks?.sends ?? true);
  const webhooks = openWebhooks(db, { ...options.webhooks, sends, touched });
  const { checkUrl } = webhooks;
  const retention = openRetentionDays(db, options.retentionDays);
  const sweeps = openSweeps(db, sweeping ? sweepsOf(options, retention.ready) : [], (runIds) => {
    touched(runIds);
    if (runIds.length > 0) webhooks.nudge();
  });
  const told: Probe["told"] = ({ isDue }) => (isDue ? webhooks.nudge() : undefined);
  const probes = [...sweeps.probes, ...(sends ? [{ ...dueDeliveries, told }] : [])];
  const pulse = startPulse(db, { everyMs: options.sweepEveryMs ?? 1000, probes, watchers: hub });
  const closing = new AbortController();
  setMaxListeners(0, closing.signal); // one for each watch

  async function execute<Op extends AnyOperation>(
    operation: Op,
    raw: unknown,
    actor: Actor,
    caller?: AbortSignal,
  ): Promise<z.output<Op["output"]>> {
    await authorize(db, operation, raw, actor);
    const fail = (code: ErrorCode, data = {}) => new TidebaseError(code, data);
    const noted = async (about: unknown, outcome: string): Promise<void> => {
      if (isPrivileged(operation)) await note(db, operation, about, actor, outcome);
    };
    const watch = openWatching(hub, closing.signal, caller);
    try {
      const input = parseInput(operation, raw);
      await noted(input, "attempted");
      const context = { db, actor, limits, signal: watch.signal, watch, touched, checkUrl, fail };
      const answer = await operation.run(context, input);
      if (operation.effect !== "read")
        touched(runsTouched(input, answer), queuesTouched(input, answer));
      if (fillsOutbox(operation, answer)) webhooks.nudge();
      await noted({ ...input, ...answer }, "done");
      if (options.checkAnswers === true) operation.output.parse(JSON.parse(toJson(answer)));
      return answer as z.output<Op["output"]>;
    } catch (error) {
      if (error instanceof TidebaseError) await noted(raw, error.code);
      throw error;
    } finally {
      watch.end();
    }
  }

  return {
    ...{ execute, authenticate, hasKeys, settle: sweeps.settle },
    sessions: openSessions(db),
    follow: openFollow(db, hub),
    status: () => statusOf({ databaseUrl: address.url(), schema }, sweeps.status(), retention.read),
    async close() {
      closing.abort();
      await Promise.all([pulse.stop(), sweeps.stop(), webhooks.stop(), retention.stop()]);
      await hub.close();
      await db.close();
    },
  };
}

/** What this process settles when others leave it behind; each on its own. */
export function sweepsOf(
  { sweepGraceMs = 10_000, limits = {} }: Partial<CoreOptions>,
  ready = async (): Promise<void> => {},
): AnySweep[] {
  return [
    lostWorkers(sweepGraceMs),
    dueWaits,
    deadlines,
    unclaimedRuns,
    orphanedChildren,
    dueSchedules(limits.steps ?? DEFAULT_LIMITS.steps),
    supersededRuns,
    expiredGates,
    pushes,
    staleDeliveries,
    retentionSweep(ready),
  ] as AnySweep[];
}

async function statusOf(
  store: { databaseUrl: string; schema: string },
  sweeps: readonly SweepStatus[],
  readDays: () => Promise<number | null>,
): Promise<CoreStatus> {
  const pending = await pendingMigrations(store).catch(() => undefined); // not reached
  const migrations = { pending: pending ?? [] };
  const retentionDays = pending?.length === 0 ? await readDays() : null;
  return { database: { reachable: pending !== undefined }, migrations, retentionDays, sweeps };
}

async function authorize(
  db: Database,
  operation: AnyOperation,
  input: unknown,
  actor: Actor,
): Promise<void> {
  const { scope, effect } = operation;
  if (!actor.scopes.includes(scope)) {
    await note(db, operation, input, actor, "scope_missing");
    throw new TidebaseError("scope_missing", { scope });
  }
  if (db.readOnly && effect !== "read") throw new TidebaseError("store_read_only");
}
