import { enqueue, type Once, repeated, withClient } from "./client.ts";
import { paced, pause, percent } from "./pace.ts";
import type { Load, Workload } from "./workload.ts";

const PER_SECOND = 1;
const FORGET_EVERY_MS = 2000;

/** Only runs of these are made old: all others have to be found at the end. */
const MARKED = ["w10-end", "w10-parent"];

/** What retention deletes, with the status that it had then. */
const DELETED = `
  create table if not exists public.deleted_runs (run_id uuid, workflow text, status text, ended_at timestamptz, at timestamptz);
  create or replace function public.note_deleted() returns trigger language plpgsql as $$
  begin
    insert into public.deleted_runs values (old.run_id, old.workflow, old.status::text, old.ended_at, clock_timestamp());
    return old;
  end $$;
  create or replace trigger runs_note_deleted before delete on tidebase.runs
    for each row execute function public.note_deleted()`;

/** Runs that have ended grow old at once, and the sweep is due now and begins at the oldest. */
const AGE = `
  with ended as materialized (
    select run_id, status from tidebase.runs where workflow = any ($1) and ended_at > tidebase.now() - interval '1 day'
     order by run_id for no key update skip locked
  ), aged as (
    update tidebase.runs set ended_at = ended_at - interval '40 days' where run_id in (select run_id from ended)
  )
  select run_id, status from ended`;
const DUE = `
  update tidebase.retention set next_at = tidebase.now(), after_at = null, after_id = null where id = 1`;

/** Deletion of what ended long ago, while some of it is recovered and some has children that go on. */
export const retention: Workload = {
  id: "W10",
  title: "retention",
  drive: (load) =>
    withClient(load, load.world.keys.worker, async (once) => {
      await load.world.query(DELETED);
      await Promise.all([forget(load, once), paced(load, PER_SECOND, () => one(load, once))]);
    }),
};

async function one(load: Load, once: Once): Promise<void> {
  if (percent(load, 75)) {
    await enqueue(load, once, { workflow: "w10-end", input: { fails: percent(load, 40) } });
    return;
  }
  const parent = await enqueue(load, once, { workflow: "w10-parent" });
  if (parent === undefined) return;
  const { runId } = parent;
  await pause(load, 500 + load.random(1500));
  await repeated(load, { f: "runs.cancel", key: runId }, async () => {
    const { status, already } = await once("runs.cancel", { runId });
    return { status, already };
  });
}

/** And once more after the load. Some of it is recovered just when the sweep comes for it: what has failed may work again until it is gone. */
async function forget(load: Load, once: Once): Promise<void> {
  for (let isLast = false; !isLast; ) {
    isLast = load.stop.aborted;
    const rows = await load.world.query(AGE, [MARKED]);
    await load.world.query(DUE);
    const recovered = rows
      .filter(({ status }) => status === "failed" && percent(load, 50))
      .map(({ run_id }) => recover(load, once, `run_${run_id}`));
    await Promise.all(recovered);
    await pause(load, FORGET_EVERY_MS);
  }
}

/** Refused where the sweep was faster. */
async function recover(load: Load, once: Once, runId: string): Promise<void> {
  await load.recorded({ f: "runs.recover", key: runId }, async () => {
    const { status } = await once("runs.recover", { runId, dryRun: false });
    return { status };
  });
}
