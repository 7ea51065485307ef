import type pg from "pg";
import { nextFire } from "../../core/src/schedules/cron.ts";

/** A row of a schedule's history. */
export interface FireRow {
  readonly fireAt: Date;
  readonly until: Date;
  readonly count: number;
  readonly outcome: string;
  readonly reason: string | null;
  readonly runId: string | null;
  /** What its run says in its metadata; null where the run is missing. */
  readonly runFireAt: string | null;
}

/** All that a schedule did, read in one snapshot. */
export interface History {
  readonly name: string;
  readonly cron: string;
  readonly timezone: string;
  readonly overlap: string;
  readonly nextFireAt: Date;
  readonly now: Date;
  readonly rows: readonly FireRow[];
  /** Runs of the schedule that no row names, and rows that share a run. */
  readonly strays: number;
}

/** What the schedules have done; only fires by the clock, no manual ones. */
export async function historiesOf(pool: pg.Pool): Promise<History[]> {
  const { rows } = await pool.query(`
    select s.name, s.cron, s.timezone, s.overlap, s.next_fire_at, tidebase.now() as now, (
        select json_agg(json_build_object('fireAt', f.fire_at, 'until', f.until, 'count', f.count, 'outcome', f.outcome,
            'reason', f.reason, 'runId', f.run_id, 'runFireAt', p.metadata::json ->> 'fireAt') order by f.fire_at)
          from tidebase.schedule_fires f left join tidebase.payloads p using (run_id)
         where f.schedule_id = s.schedule_id and f.kind = 'cron') as fires, (
        select count(*) from tidebase.runs r where r.schedule_id = s.schedule_id and (
          select count(*) from tidebase.schedule_fires f where f.run_id = r.run_id) <> 1)::int as strays
      from tidebase.schedules s order by s.name`);
  return rows.map(({ next_fire_at: nextFireAt, fires, ...row }) => ({
    ...row,
    nextFireAt,
    rows: (fires ?? []).map((fire: Record<string, string>) => ({
      ...fire,
      fireAt: new Date(String(fire["fireAt"])),
      until: new Date(String(fire["until"])),
    })),
  }));
}

/** Every instant from the first fire on that the expression names, before `nextFireAt`. */
export function expectedFires(first: Date, { nextFireAt, ...spec }: History): number[] {
  const fires: number[] = [];
  for (let at: Date | undefined = first; at !== undefined && at < nextFireAt; ) {
    fires.push(at.getTime());
    at = nextFire(spec, at);
  }
  return fires;
}

/**
 * What is wrong with a history whose first fire is known: a hole, an instant with two rows or none, a
 * fire without its run, a run without its fire. Empty when each instant has its one row.
 */
export function faultsOf(first: Date, history: History): string[] {
  const { name, rows, strays } = history;
  const faults = strays === 0 ? [] : [`${name}: ${strays} runs without one row each`];
  const left = expectedFires(first, history);
  for (const { fireAt, until, count, outcome, runId, runFireAt } of rows) {
    const at = `${name} ${fireAt.toISOString()}`;
    const covered = left.filter((instant) => instant <= until.getTime());
    left.splice(0, covered.length);
    if (covered[0] !== fireAt.getTime()) faults.push(`${at}: the row before ends elsewhere`);
    if (covered.length !== count) faults.push(`${at}: ${covered.length} instants, count ${count}`);
    const fires = outcome !== "skipped";
    if (fires && (count !== 1 || runFireAt !== fireAt.toISOString()))
      faults.push(`${at}: ${outcome}, run ${runId} of ${runFireAt}`);
    if (!fires && runId !== null) faults.push(`${at}: skipped with a run`);
  }
  if (left.length > 0) faults.push(`${name}: ${left.length} instants without a row`);
  return faults;
}
