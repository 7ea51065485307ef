import { statement } from "../statement.ts";

/**
 * Removes what the run was about and leaves its skeleton, under the locks of all runs it erases. `runIds` are those that
 * were erased by this call, `openRunIds` up to ten that are not final. No row when the run is unknown.
 */
export const erase = statement<
  { runId: string; tree: boolean; actor: string; reason?: string | undefined },
  | { outcome: "erased"; already: boolean; erasedAt: string; runIds: readonly string[] }
  | { outcome: "run_not_final" | "again"; openRunIds: readonly string[] }
>("runs.erase")`
  select outcome, already, erased_at, run_ids, open_run_ids
    from tidebase.erase($run_id::uuid, $tree::boolean, $actor::text, $reason::text)`;
