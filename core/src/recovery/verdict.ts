import type { Database } from "../database.ts";
import { readJson } from "../payload.ts";
import type { Run, StepCounts } from "../runs/schema.ts";
import * as runs from "../runs/sql.ts";
import { judge, verdict } from "./rules.ts";
import type { Verdict } from "./schema.ts";
import * as recovery from "./sql.ts";

/**
 * The run with its verdict, the same for every caller; undefined when the run is unknown. Three reads:
 * the verdict says by `seq` what it was read at, and an act that carries it back is refused when the run
 * has moved.
 */
export async function readVerdict(
  db: Database,
  runId: string,
): Promise<{ run: Run; steps: StepCounts; verdict: Verdict } | undefined> {
  const row = await db.maybe(runs.get, { runId });
  if (row === undefined) return undefined;
  const { completed, begun, failed, manualReview, ...run } = row;
  const open = await db.many(recovery.openSteps, { runId });
  const events = await db.many(recovery.runEvents, { runId });
  const live = run.status === "running" && !run.leaseOver;
  const final = run.status === "completed" || run.status === "cancelled";
  const orphaned = events.flatMap(
    ({ orphanedSteps }) => readJson<{ name: string }[]>(orphanedSteps) ?? [],
  );
  return {
    run,
    steps: { completed, begun, failed, manualReview },
    verdict: verdict({
      run,
      completedSteps: completed,
      steps: open.map((step) => judge(step, { epoch: run.epoch, live, final })),
      warnings:
        orphaned.length === 0
          ? []
          : [
              `The code changed: recorded steps that the last attempt never asked for: ${orphaned.length}.`,
            ],
      eventSeqs: events.map(({ seq }) => seq),
    }),
  };
}
