import { v7 as uuid } from "uuid";
import type { z } from "zod";
import type { Database } from "../database.ts";
import { payloadText } from "../json-text.ts";
import type { Limits } from "../limits.ts";
import { operation } from "../operation.ts";
import { checkPayload, readJson } from "../payload.ts";
import { nextOf, sortSteps, warnings } from "./fork-rules.ts";
import { ForkInput, ForkPlan } from "./fork-schema.ts";
import * as forks from "./fork-sql.ts";
import { hash } from "./identity.ts";

/*
 * A fork departs from a moment of the source's log: what was completed by then is copied into a run of its own, and
 * everything else happens anew. The source is only read; from then on both live and end apart from each other.
 */

export const forkRun = operation({
  name: "runs.fork",
  summary:
    "Make a new run from a moment of another: what was completed by then is kept, the rest runs again; a dry run says which.",
  route: "POST /v1/runs/:runId/fork",
  effect: "write",
  scope: "operate",
  fenced: false,
  because: "It only reads the source, and nobody holds the fork before it exists.",
  input: ForkInput,
  output: ForkPlan,
  errors: [
    "run_not_found",
    "run_erased",
    "step_not_found",
    "step_not_kept",
    "event_not_found",
    "run_changed",
    "idempotency_conflict",
    "payload_too_large",
  ],
  async run(context, given) {
    const { db, actor, fail } = context;
    const { runId, dryRun, asOf, reason, edit } = given;
    const texts = textsOf(given, context);
    const source = await db.maybe(forks.source, { runId, ...given.from });
    if (source === undefined) throw fail("run_not_found", { runId });
    const { seq, erasedAt } = source;
    if (erasedAt !== null) throw fail("run_erased", { runId });
    if (given.from !== undefined && source.firstSeq === null)
      throw fail("step_not_found", { runId, ...given.from });
    const atSeq = source.firstSeq === null ? (given.atSeq ?? 0) : source.firstSeq - 1;
    if (atSeq > seq) throw fail("event_not_found", { runId, seq });
    const moment = { runId, atSeq, fromName: given.from?.name, fromKey: given.from?.key };
    const { edited, ...plan } = await planOf(db, given, { ...source, ...moment });
    if (edit !== undefined && edited !== "kept")
      throw fail(edited === "unknown" ? "step_not_found" : "step_not_kept", {
        ...{ runId, name: edit.name, key: edit.key, atSeq },
      });
    if (dryRun) {
      if (asOf !== undefined && asOf !== seq) throw fail("run_changed", { runId, seq });
      return { ...plan, dryRun, runId: null, created: false };
    }
    const forkRunId = given.forkRunId ?? `run_${uuid()}`;
    const row = await db.maybe(forks.fork, {
      ...{ ...moment, ...texts, forkRunId, asOf, queue: plan.queue, actor: actor.name, reason },
      bodyHash: contentHash(given),
      editName: edit?.name,
      editKey: edit?.key,
      inputGiven: given.input !== undefined,
    });
    if (row === undefined) throw fail("run_not_found", { runId });
    const { outcome, status } = row;
    if (outcome === "idempotency_conflict") throw fail(outcome, { runId: forkRunId });
    if (outcome === "run_changed") throw fail(outcome, { runId, seq: row.seq });
    if (outcome === "run_erased") throw fail(outcome, { runId });
    const next = nextOf(plan, forkRunId);
    return { ...plan, dryRun, runId: forkRunId, created: outcome === "forked", status, next };
  },
});

type Given = z.output<typeof ForkInput>;

/** What is given in place of the source's, as it is stored. Throws `payload_too_large`. */
function textsOf(
  { edit, input, inputMeta }: Given,
  context: Parameters<typeof checkPayload>[2] & { readonly limits: Limits },
) {
  const texts = {
    output: edit === undefined ? undefined : payloadText(edit.output ?? null),
    outputMeta: payloadText(edit?.outputMeta),
    input: payloadText(input),
    inputMeta: payloadText(inputMeta),
  };
  checkPayload("edit.output", [texts.output, texts.outputMeta], context);
  checkPayload("input", [texts.input, texts.inputMeta], context);
  return texts;
}

/** What `forkRunId` stands for: how much is asked for, not what the source had become by then. */
function contentHash({ runId, from, atSeq, edit, input, inputMeta, queue }: Given): string {
  return hash({ fork: runId, from, atSeq: atSeq ?? 0, edit, input, inputMeta, queue });
}

interface Moment {
  readonly runId: string;
  readonly atSeq: number;
  readonly fromName: string | undefined;
  readonly fromKey: string | undefined;
}

type Source = Moment &
  Pick<ForkPlan, "workflow" | "queue" | "seq" | "resumeHint"> & { firstSeq: number | null };

/**
 * The plan, without the fork. `seq` was read first: whatever happens while the rest is read, an act that carries it
 * back is refused.
 */
async function planOf(db: Database, given: Given, source: Source) {
  const { runId, atSeq, seq, workflow, resumeHint } = source;
  const { edited, keptAfterEdit, ...sorted } = sortSteps(
    await db.many(forks.steps, source),
    given.edit,
  );
  const around = await db.one(forks.surroundings, source);
  const queue = given.queue === undefined ? source.queue : given.queue;
  const facts = { ...sorted, keptAfterEdit, hasInput: given.input !== undefined };
  return {
    edited,
    status: queue === null ? ("pending" as const) : ("queued" as const),
    ...{ workflow, queue, forkedFrom: { runId, atSeq }, seq, ...sorted },
    gatesAskedAgain: readJson<ForkPlan["gatesAskedAgain"]>(around.gates) ?? [],
    childrenAnew: readJson<ForkPlan["childrenAnew"]>(around.children) ?? [],
    timersAnew: readJson<ForkPlan["timersAnew"]>(around.timers) ?? [],
    signals: around.signals,
    streams: readJson<ForkPlan["streams"]>(around.streams) ?? [],
    warnings: warnings(facts),
    resumeHint,
    next: nextOf({ workflow, queue }, null),
  };
}
