import type { Database } from "../database.ts";
import * as sql from "./list-sql.ts";
import { type RunSummary, STATUSES } from "./schema.ts";

/** A page of runs and one more if there is one. */
export interface FoundRuns {
  readonly rows: (RunSummary & { position: string })[];
  /** Position and id behind which the next page goes on, where it was looked for long enough without filling this one. */
  readonly stopped: readonly string[] | undefined;
}

/**
 * Runs that a page looks at where no index answers all that is asked: few at first, since most pages are full by then;
 * then as many as fit into some milliseconds. A page that is not full by then ends there, and the next goes on.
 */
const LOOKS = [400, 1200] as const;

/** A tag that so many of the newest 400 runs have is looked for among all; of a rarer one, all runs that have it are read. */
const COMMON = 8;

/** Newest first, by the index that fits what is asked. However many runs there are, a page is found in milliseconds. */
export async function findRuns(db: Database, wanted: sql.Wanted): Promise<FoundRuns> {
  const { idempotencyKey, parentRunId, forkedFromRunId } = wanted;
  const exact = async (statement: typeof sql.listOfKey) => ({
    rows: await db.many(statement, wanted),
    stopped: undefined,
  });
  if (idempotencyKey !== undefined) return await exact(sql.listOfKey);
  if (parentRunId !== undefined) return await exact(sql.listChildren);
  if (forkedFromRunId !== undefined) return await exact(sql.listForks);
  return await walk(db, wanted);
}

async function walk(db: Database, { status, ...others }: sql.Wanted): Promise<FoundRuns> {
  const { workflow, queue, tag, failureClass, search, limit } = others;
  const only = failureClass === undefined ? status : status.filter((one) => one === "failed");
  const wanted = { ...others, status: only };
  const isFiltered =
    [tag, failureClass, search].some((given) => given !== undefined) ||
    (workflow !== undefined && queue !== undefined);
  if (!isFiltered) return { ...(await look(db, wanted, limit)), stopped: undefined };
  const [first, second] = LOOKS;
  const found = await look(db, wanted, Math.max(first, limit));
  if (isFull(found, limit)) return found;
  if (tag !== undefined && !(await isCommon(db, tag)))
    return { rows: await db.many(sql.listTagged, wanted), stopped: undefined };
  const [beforeAt, beforeId] = found.stopped ?? [];
  const left = limit - found.rows.length;
  const more = await look(db, { ...wanted, beforeAt, beforeId, limit: left }, second);
  return { rows: [...found.rows, ...more.rows], stopped: more.stopped };
}

async function isCommon(db: Database, tag: string): Promise<boolean> {
  const { rows } = await look(db, { tag, status: STATUSES, limit: COMMON }, LOOKS[0]);
  return rows.length === COMMON;
}

function isFull({ rows, stopped }: FoundRuns, limit: number): boolean {
  return rows.length === limit || stopped === undefined;
}

/** What is found among the next so many runs. */
async function look(db: Database, wanted: sql.Wanted, looks: number): Promise<FoundRuns> {
  const { queue, workflow } = wanted;
  const narrowest = workflow === undefined ? sql.list : sql.listOfWorkflow;
  const answers = await db.many(queue === undefined ? narrowest : sql.listOfQueue, {
    ...wanted,
    looks,
  });
  const rows = answers.flatMap((row) => {
    if (row.runId === null) return [];
    const { stoppedAt: _, stoppedRunId: __, ...run } = row;
    return [run];
  });
  const { stoppedAt, stoppedRunId } = answers[0] ?? {};
  return { rows, stopped: stoppedAt && stoppedRunId ? [stoppedAt, stoppedRunId] : undefined };
}
