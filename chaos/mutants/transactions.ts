import { CRASH_POINTS, crashPoints, INTERLEAVE, type Mutant, trials } from "./mutant.ts";

const SCHEDULES = "core/src/schedules/sql.ts";

/**
 * Nobody reads what is not committed, so no follower can be shown a phantom by Postgres: what is told too early here is
 * the answer and the hint.
 */
const beforeCommit: Mutant = {
  id: "3-before-commit",
  fault: "Callers are answered, and followers woken, while the commit is still under way.",
  edits: [
    {
      file: "core/src/connections.ts",
      search: `  const query: Query = (statement, values) =>
    lent((client) => {
      const ask = () => send(client, statement, values);
      return sessions.get(client)?.readsCommitted === true ? ask() : transaction(client, ask);
    });`,
      replace: `  const query: Query = async (statement, values) => {
    const client = await connect();
    try {
      await client.query("begin");
      const rows = await send(client, statement, values);
      client.query("commit").then(
        () => client.release(),
        (error: Error) => client.release(error),
      );
      return rows;
    } catch (error) {
      await client.query("rollback").catch(() => {});
      client.release(sqlState(error) === undefined ? (error as Error) : undefined);
      throw error;
    }
  };`,
    },
  ],
  looks: [trials("F9"), trials(), { profile: "no-notify" }, CRASH_POINTS],
};

const RUN_OF_A_FIRE = `{
        id: fragment\`$run_id::uuid\`,
        metadata: fragment\`$metadata::text\`,
        key: fragment\`null\`,
        body: fragment\`'fire:' || $run_id::uuid\`,
        maxSteps: fragment\`$max_steps::int\`,
        actor: fragment\`'tidebase'\`,
      }`;

/** Between the two, a fire is on record whose run nobody will ever make. */
const splitFire: Mutant = {
  id: "4-split-fire",
  fault: "A schedule's fire is recorded by one transaction and its run made by the next.",
  edits: [
    {
      file: SCHEDULES,
      search: `  ), made as materialized (
    select m.run_id from s join noted on noted.run_id is not null cross join lateral tidebase.make_runs(\${runOf(
      ${RUN_OF_A_FIRE},
    )}) m
  ), replaced as (`,
      replace: `  ), made as materialized (
    select run_id from noted where run_id is not null
  ), replaced as (`,
    },
    {
      file: SCHEDULES,
      search: `/** Counts a failure, in a statement of its own.`,
      replace: `export const make = statement<object, { runId: string }>("schedules.make")\`
  select m.run_id from (
      select \${material} from tidebase.schedules s where s.schedule_id = $schedule_id::uuid) s
    cross join lateral tidebase.make_runs(\${runOf(${RUN_OF_A_FIRE})}) m\`;

/** Counts a failure, in a statement of its own.`,
    },
    {
      file: "core/src/schedules/due.ts",
      search: `  if (outcome === "moved") return undefined;`,
      replace: `  if (outcome === "moved") return undefined;
  if (runId !== null)
    await db.maybe(schedules.make, { scheduleId, runId, metadata: payloadText(metadata), maxSteps });`,
    },
  ],
  looks: [
    crashPoints("schedules"),
    trials("F2"),
    trials(),
    { profile: "pool-2", file: "core/test/schedule-races.test.ts" },
  ],
};

/** The lock stays with a connection that has gone back to the pool, and the unlock goes to another. */
const sessionLock: Mutant = {
  id: "5-session-lock",
  fault: "A claim holds a lock of the session, and frees it on whatever connection it is given.",
  edits: [
    {
      file: "migrations/0007_speed.sql",
      search: `  perform pg_advisory_xact_lock(hashtextextended(p_grant_id::text, 0)); -- the same call again waits for the first`,
      replace: `  perform pg_advisory_lock(hashtextextended(p_grant_id::text, 0));`,
    },
    {
      file: "core/src/queues/sql.ts",
      search: `/** The runs that a claim would take now: nobody takes them. */`,
      replace: `export const unlock = statement<object, { unlocked: boolean }>("queues.unlock")\`
  select pg_advisory_unlock(hashtextextended($grant_id::uuid::text, 0)) as unlocked\`;

/** The runs that a claim would take now: nobody takes them. */`,
    },
    {
      file: "core/src/queues/operations.ts",
      search: `        const leftMs = until - performance.now();
        if (claimed.length > 0`,
      replace: `        await db.maybe(queues.unlock, call);
        const leftMs = until - performance.now();
        if (claimed.length > 0`,
    },
  ],
  looks: [{ profile: "pgbouncer" }, { profile: "twice" }, trials()],
};

/** The next idle connection that Postgres ends takes the whole process with it. */
const noErrorListener: Mutant = {
  id: "6-no-error-listener",
  fault: "The pool of connections has no listener for the errors of idle ones.",
  edits: [
    {
      file: "core/src/connections.ts",
      search: `    return new pg.Pool({ ...config, connectionString }).on("error", () => {});`,
      replace: `    return new pg.Pool({ ...config, connectionString });`,
    },
  ],
  looks: [trials("F8"), trials(), CRASH_POINTS],
};

/** Two who decide at once both find the gate open. */
const readThenWrite: Mutant = {
  id: "7-read-then-write",
  fault: "A decision looks at its gate and then writes it, without the run's lock around both.",
  edits: [
    {
      file: "core/src/gates/decide.ts",
      search: `await db.locked(gate.runId, (tx) => settle(tx, work))`,
      replace: `await settle(db, work)`,
    },
  ],
  looks: [INTERLEAVE, trials()],
};

/** What has to happen at once, taken apart; and what holds a connection together, left out. */
export const transactions: readonly Mutant[] = [
  beforeCommit,
  splitFire,
  sessionLock,
  noErrorListener,
  readThenWrite,
];
