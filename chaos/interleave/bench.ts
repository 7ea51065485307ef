import { type Core, openCore } from "@tidebase/core";
import pg from "pg";
import { type Database, openDatabase } from "../../core/src/database.ts";
import { type Lane, openLane } from "./lanes.ts";

/** A lane with everything that an operation needs to act in it, over connections of its own. */
export interface Seat {
  readonly lane: Lane;
  readonly core: Core;
  /** For the sweeps, which hold no core. */
  readonly db: Database;
}

/** A store of its own in which cases are run one after another, by two seats. */
export interface Bench {
  readonly seats: readonly [Seat, Seat];
  /** Prepares cases; in no lane. */
  readonly core: Core;
  readonly db: Database;
  /** A connection that looks on, and never waits for a run; what is asked again and again has a name, and is planned once. */
  query<Row>(text: string, values?: readonly unknown[], name?: string): Promise<Row[]>;
  /** Whether this backend waits for somebody's lock. */
  isBlocked(backend: number): Promise<boolean>;
  /** Holds the row of a run (a bare uuid), on a connection that does nothing else, until the returned function is called. */
  hold(runId: string): Promise<() => Promise<void>>;
  close(): Promise<void>;
}

/** A bench in this migrated database, which nobody else uses. */
export async function openBench(url: string): Promise<Bench> {
  const [looker, holder] = [new pg.Client(url), new pg.Client(url)];
  await Promise.all([looker.connect(), holder.connect()]);
  await looker.query("set plan_cache_mode = force_generic_plan; set enable_seqscan = off");
  const seats = [seatOf(url, "a"), seatOf(url, "b")] as const;
  const core = openCore({ databaseUrl: url, sweeps: false, poolMax: 2 });
  const db = openDatabase({ databaseUrl: url, poolMax: 2 });

  async function query<Row>(
    text: string,
    values: readonly unknown[] = [],
    name?: string,
  ): Promise<Row[]> {
    const config = { text, values: [...values], ...(name !== undefined && { name }) };
    return (await looker.query(config)).rows as Row[];
  }

  async function isBlocked(backend: number): Promise<boolean> {
    const text = "select cardinality(pg_blocking_pids($1)) > 0 as is_blocked";
    const [row] = await query<{ is_blocked: boolean }>(text, [backend], "blocked");
    return row?.is_blocked === true;
  }

  async function hold(runId: string): Promise<() => Promise<void>> {
    await holder.query("begin");
    await holder.query("select from tidebase.runs where run_id = $1 for update", [runId]);
    return async () => {
      await holder.query("commit");
    };
  }

  async function close(): Promise<void> {
    await Promise.all([core.close(), db.close(), ...seats.flatMap(ended)]);
    await Promise.all([looker.end(), holder.end()]);
    for (const { lane } of seats) lane.close();
  }
  return { seats, core, db, query, isBlocked, hold, close };
}

function seatOf(databaseUrl: string, name: string): Seat {
  const lane = openLane(databaseUrl, name);
  const given = { databaseUrl: lane.url, poolMax: 4 };
  const core = openCore({ ...given, sweeps: false, checkAnswers: true });
  return { lane, core, db: openDatabase(given) };
}

const ended = ({ core, db }: Seat): Promise<void>[] => [core.close(), db.close()];
