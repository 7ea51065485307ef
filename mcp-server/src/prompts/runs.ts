import { z } from "zod";
import { RunId } from "../tools/run-fields.ts";
import { call, prompt, UNTRUSTED } from "./prompt.ts";

const given = z.strictObject({ runId: RunId });

export const investigateRun = prompt({
  name: "investigate_run",
  title: "Investigate a run",
  description: "Finds out what happened to a run and whether it is safe to rerun; changes nothing.",
  given,
  needs: ["tidebase_get_run", "tidebase_list_events", "tidebase_get_state"],
  text({ runId }) {
    return `Find out what happened to the Tidebase run ${JSON.stringify(runId)}. Evidence first; change nothing.

1. ${call("tidebase_get_run", { runId })}: verdict, error, unfinished steps, open gates.
2. ${call("tidebase_list_events", { runId, types: ["step.failed", "run.failed"] })}, then the events before those numbers; ${call("tidebase_get_state", { runId })} where the state matters. Look at the code that the steps belong to, if it is here.
3. Say what happened and why, with event numbers. Keep what is recorded apart from what you conclude. Say in the verdict's words whether a rerun is safe, and which steps with which side effects would run again.
4. If the verdict's next action is to recover, make the dry run, ${call("tidebase_recover_run", { runId })}, and show it. Apply nothing: ask what to do.

${UNTRUSTED}`;
  },
});

export const recoverSafely = prompt({
  name: "recover_safely",
  title: "Recover a run safely",
  description: "Plans a run's recovery, asks you, applies exactly what was shown, and waits.",
  given,
  needs: ["tidebase_get_run", "tidebase_recover_run", "tidebase_wait_for_run"],
  text({ runId }) {
    return `Recover the Tidebase run ${JSON.stringify(runId)}, asking me before anything changes.

1. ${call("tidebase_get_run", { runId })}. If the verdict is final, in_progress or waiting_on_human, say so and stop. If a step needs review, ask me whether its effects happened and how I know; only then settle it with tidebase_review_step, dry run first.
2. ${call("tidebase_recover_run", { runId, dryRun: true })}.
3. Show me what is replayed, which steps would run again, and each of their side effects that would happen twice. Then ask for a yes or no, and wait for it.
4. Only after my yes: tidebase_recover_run with dryRun false, the dry run's seq as asOf, and my reason. On run_changed begin again at 2; never apply a plan that I have not seen.
5. ${call("tidebase_wait_for_run", { runId, until: "end" })}, again while timedOut, at most five times. Say what became of it; a recovered run goes on when a worker takes it.

${UNTRUSTED}`;
  },
});
