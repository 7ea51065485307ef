import { z } from "zod";
import { operation } from "../operation.ts";
import { oneLine } from "../payload.ts";
import { erase } from "./erase-sql.ts";
import { RunId } from "./schema.ts";

/*
 * An erased run is a skeleton: ids, names, keys, tags, statuses, times and numbers stay, all else is gone at once. It
 * shows nulls where its content was; whoever would work with the content is told `run_erased`. Only what is final is
 * erased, below a parent that is: nobody reads it any more.
 */

export const eraseRun = operation({
  name: "runs.erase",
  summary:
    "Remove what a final run was about, for ever: payloads, state, messages; its skeleton stays.",
  route: "POST /v1/runs/:runId/erase",
  effect: "destroy",
  scope: "admin",
  fenced: false,
  because: "Nobody holds a final run, and it never begins again.",
  input: z.strictObject({
    runId: RunId,
    tree: z.boolean().default(false).describe("All runs below it too: all of them, or none."),
    reason: z
      .string()
      .min(1)
      .max(2000)
      .optional()
      .describe("Stays with the run: write nothing into it that should be erased."),
  }),
  output: z.strictObject({
    already: z.boolean().describe("All of it was erased before this call, which changes nothing."),
    erased: z.int().describe("Runs that this call erased."),
    erasedAt: z.iso.datetime().describe("Of the run named."),
  }),
  errors: ["run_not_found", "run_not_final"],
  async run({ db, actor, touched, fail }, { runId, tree, reason }) {
    const row = await db.maybe(erase, {
      ...{ runId, tree, actor: actor.name },
      reason: reason === undefined ? undefined : oneLine(reason),
    });
    if (row === undefined) throw fail("run_not_found", { runId });
    if (row.outcome === "run_not_final") throw fail(row.outcome, { runId, runIds: row.openRunIds });
    const { already, erasedAt, runIds } = row;
    touched(runIds);
    return { already, erased: runIds.length, erasedAt };
  },
});
