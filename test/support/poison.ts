import type pg from "pg";

/** What is told of a row that cannot be changed: an error of the program, or a row that Postgres refuses. */
export const FAULTS = { "raises an error": "P0001", "breaks a check": "23514" } as const;

/**
 * Rows that nobody can settle: once `spoil` names the id of a run, gate or delivery, every change of its status
 * fails with this SQLSTATE. All else about it may change.
 */
export async function preparePoison(pool: pg.Pool): Promise<{
  spoil(id: string, sqlState: string): Promise<void>;
  cure(): Promise<void>;
}> {
  await pool.query(`
    create table poisoned (id uuid primary key, sql_state text not null);
    create function refuse_poisoned() returns trigger language plpgsql as $$
    declare v_state text := (select sql_state from poisoned where id = (to_jsonb(old) ->> tg_argv[0])::uuid);
    begin
      if v_state is not null then raise exception 'poisoned' using errcode = v_state; end if;
      return new;
    end $$;`);
  for (const noun of ["run", "gate", "delivery"])
    await pool.query(`create trigger poison before update on tidebase.${noun === "delivery" ? "deliveries" : `${noun}s`} for each row
      when (old.status is distinct from new.status) execute function refuse_poisoned('${noun}_id')`);
  return {
    spoil: async (id, sqlState) => {
      const uuid = id.slice(id.indexOf("_") + 1);
      await pool.query("insert into poisoned values ($1, $2)", [uuid, sqlState]);
    },
    cure: async () => void (await pool.query("delete from poisoned")),
  };
}
