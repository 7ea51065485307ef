import { z } from "zod";
import { Lease, REFUSALS } from "../leases/schema.ts";
import { operation } from "../operation.ts";
import { Name } from "../payload.ts";
import { contentOf } from "../runs/creation.ts";
import { RunId } from "../runs/schema.ts";
import * as runs from "../runs/sql.ts";
import { CHILDREN_MAX, Child, ChildName, CreatedChild, LEVELS_MAX, NewChild } from "./schema.ts";
import * as children from "./sql.ts";

/*
 * A child is a run that its parent's code named: one for each (parent, name, key), for ever. Its end takes an event
 * number of the parent and wakes it, in the commit that ends it (`tell_parent`).
 */

export const createChildren = operation({
  name: "children.create",
  summary: "Create the children of a run, or find those that their names and keys already made.",
  route: "POST /v1/runs/:runId/children",
  effect: "write",
  scope: "work",
  fenced: true,
  because: "Only the holder's code has children; a stale worker must not start any.",
  input: z.strictObject({ ...Lease.shape, children: z.array(NewChild).min(1).max(1000) }),
  output: z.strictObject({ results: z.array(CreatedChild) }),
  errors: [...REFUSALS, "payload_too_large", "run_too_wide", "run_too_deep"],
  async run(context, { children: given, ...lease }) {
    const { db, actor, limits, fail } = context;
    const { runId } = lease;
    const columns = columnsOf(given, context);
    const queues = given.flatMap(({ queue, keyLimit }) =>
      queue === undefined || keyLimit === undefined ? [] : [queue],
    );
    if (queues.length > 0) await db.many(children.limitKeys, { ...lease, queues });
    const rows = await db.many(children.create, {
      ...{ ...lease, ...columns, maxSteps: limits.steps, actor: actor.name },
      ...{ childrenMax: CHILDREN_MAX, levelsMax: LEVELS_MAX },
    });
    if (rows.length === 0) throw fail("run_not_found", { runId });
    return {
      results: rows.map((row) => {
        if (
          row.outcome === "created" ||
          row.outcome === "existing" ||
          row.outcome === "child_mismatch"
        )
          return row;
        throw fail(row.outcome, { runId });
      }),
    };
  },
});

/** An array for each column of the new runs. */
function columnsOf(given: readonly NewChild[], context: Parameters<typeof contentOf>[1]) {
  const contents = given.map((child) => contentOf(child, context));
  const each = <Value>(read: (child: NewChild) => Value | undefined) =>
    given.map((child) => read(child) ?? null);
  return {
    names: given.map(({ name }) => name),
    keys: given.map(({ key }) => key),
    workflows: given.map(({ workflow }) => workflow),
    bodyHashes: contents.map(({ bodyHash }) => bodyHash),
    inputs: contents.map(({ input }) => input?.text ?? null),
    inputMetas: contents.map(({ inputMeta }) => inputMeta?.text ?? null),
    metadatas: contents.map(({ metadata }) => metadata?.text ?? null),
    tagLists: contents.map(({ tags }) => JSON.stringify(tags)),
    queues: each(({ queue }) => queue),
    priorities: each(({ priority }) => priority),
    delays: each(({ delayMs }) => delayMs),
    deadlines: each(({ deadlineMs }) => deadlineMs),
    attempts: each(({ maxAttempts }) => maxAttempts),
    concurrencyKeys: each(({ concurrencyKey }) => concurrencyKey),
    keyLimits: each(({ keyLimit }) => keyLimit),
    detached: given.map(({ detached }) => detached),
    fanoutSizes: each(({ fanoutSize }) => fanoutSize),
  };
}

export const listChildren = operation({
  name: "children.list",
  summary: "The children of a run with their status, and their results if asked; by name and key.",
  route: "GET /v1/runs/:runId/children",
  effect: "read",
  scope: "read",
  fenced: false,
  because: "It only reads.",
  input: z.strictObject({
    runId: RunId,
    name: ChildName.optional().describe("Only the children of this name."),
    afterName: Name.default(""),
    afterKey: Name.default(""),
    limit: z.coerce.number().int().min(1).max(1000).default(200),
    include: z
      .array(z.enum(["result"]))
      .default([])
      .describe("Adds result and error; a page is at most about 4 MB of them."),
  }),
  output: z.strictObject({
    children: z.array(Child),
    afterName: z.string().nullable(),
    afterKey: z.string().nullable(),
  }),
  errors: ["run_not_found"],
  async run({ db, fail }, { include, ...page }) {
    const withResult = include.includes("result");
    const rows = await db.many(children.list, { ...page, withResult });
    if (rows.length === 0 && (await db.maybe(runs.exists, page)) === undefined)
      throw fail("run_not_found", { runId: page.runId });
    const last = rows.at(-1);
    const more = last?.more === true ? last : undefined;
    return {
      children: rows.map(({ more: _, result, resultMeta, error, ...child }) => ({
        ...child,
        ...(withResult && { result, resultMeta, error }),
      })),
      afterName: more?.name ?? null,
      afterKey: more?.key ?? null,
    };
  },
});
