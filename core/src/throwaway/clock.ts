import pg from "pg";
import type { Made } from "./databases.ts";

/** The clock of one throw-away database. Every change asks for the mark that its maker gave it. */
export interface ThrowawayClock {
  now(): Promise<Date>;
  /**
   * The first moment after now, and not after `until`, at which a sleep, job, schedule, deadline or
   * gate is due; undefined when there is none.
   */
  nextDue(until: Date): Promise<Date | undefined>;
  /**
   * Moves the clock to the moment, never back, and returns by how many milliseconds. The leases of
   * running runs move along: while that time passes their workers would have renewed them.
   */
  moveTo(moment: Date): Promise<number>;
  /** Lets the time of these grants (bare uuids) be over, and the patience with living workers too. */
  lapse(grantIds: readonly string[]): Promise<void>;
  close(): Promise<void>;
}

/** True in the database that carries the mark, and nowhere else. */
const MARKED = `exists (select from pg_database d
  where d.datname = current_database() and shobj_description(d.oid, 'pg_database') = $1)`;

const NEXT_DUE = `select min(at) as due from (
    select wake_at from tidebase.runs where status = 'waiting'
    union all select deadline_at from tidebase.runs where status not in ('completed', 'cancelled')
    union all select expires_at from tidebase.runs where status = 'queued'
    union all select run_at from tidebase.runs where status = 'queued'
    union all select expires_at from tidebase.gates where decided_at is null
    union all select next_fire_at from tidebase.schedules where paused_at is null and failures < 5
  ) moments (at) where at > tidebase.now() and at <= $1`;

const MOVE = `with before as (select shift from tidebase.clock where id = 1)
  update tidebase.clock c set shift = greatest(c.shift, $2::timestamptz - clock_timestamp()) from before
   where c.id = 1 and ${MARKED}
  returning extract(epoch from c.shift - before.shift) * 1000 as ms`;

const KEEP = `with held as materialized (
    select run_id from tidebase.runs where status = 'running' order by run_id for no key update)
  update tidebase.runs r set lease_expires_at = r.lease_expires_at + make_interval(secs => $2 / 1000.0)
    from held where r.run_id = held.run_id and r.status = 'running' and ${MARKED}`;

/** Over by its own length and a second, so that a sweep does not spare a worker that it sees alive. */
const LAPSE = `update tidebase.runs
    set lease_expires_at = tidebase.now() - make_interval(secs => lease_ms / 1000.0 + 1)
  where status = 'running' and grant_id = any ($2::uuid[]) and ${MARKED}`;

/** Connects lazily. */
export function openClock({ url, mark }: Pick<Made, "url" | "mark">): ThrowawayClock {
  const settings = { max: 2, application_name: "tidebase", allowExitOnIdle: true };
  const pool = new pg.Pool({ connectionString: url, ...settings });
  pool.on("error", () => {}); // the next query tells

  async function moveTo(moment: Date): Promise<number> {
    const client = await pool.connect();
    try {
      await client.query("begin");
      const { rows } = await client.query<{ ms: string }>(MOVE, [mark, moment.toISOString()]);
      if (rows[0] === undefined) throw unmarked();
      const ms = Number(rows[0].ms);
      await client.query(KEEP, [mark, ms]);
      await client.query("commit");
      return ms;
    } catch (error) {
      await client.query("rollback").catch(() => {});
      throw error;
    } finally {
      client.release();
    }
  }

  return {
    moveTo,
    async now() {
      const { rows } = await pool.query<{ now: Date }>("select tidebase.now() as now");
      return rows[0]?.now ?? new Date(Number.NaN);
    },
    async nextDue(until) {
      const { rows } = await pool.query<{ due: Date | null }>(NEXT_DUE, [until.toISOString()]);
      return rows[0]?.due ?? undefined;
    },
    async lapse(grantIds) {
      if (grantIds.length > 0) await pool.query(LAPSE, [mark, grantIds]);
    },
    close: () => pool.end(),
  };
}

function unmarked(): Error {
  return new Error(
    "The clock of this database may not be moved: it does not carry the mark of the throw-away store that was opened.",
  );
}
