import { v7 as uuid } from "uuid";
import type { Database } from "../database.ts";
import { differences } from "../runs/identity.ts";
import { type CronSpec, nextFire } from "./cron.ts";
import { isResting } from "./show.ts";
import * as schedules from "./sql.ts";

const TRIES_MAX = 100;

/**
 * Reads, decides and compares while it writes; undefined means that somebody else was faster, and all is
 * done again.
 */
export async function settled<T>(name: string, attempt: () => Promise<T | undefined>): Promise<T> {
  for (let tries = 0; tries < TRIES_MAX; tries++) {
    const done = await attempt();
    if (done !== undefined) return done;
  }
  throw new Error(`${name}: still changed by others after ${TRIES_MAX} tries`);
}

/** Makes the schedule, or makes it say this. `body` is the content as values, to compare it with. */
export function put(
  db: Database,
  content: schedules.Content,
  { body, paused, actor }: { body: object; paused: boolean | undefined; actor: string },
): Promise<{ row: schedules.FullRow; outcome: "created" | "updated" | "unchanged" }> {
  const { name } = content;
  return settled("schedules.put", async () => {
    const row = await db.maybe(schedules.get, { name });
    const outcome =
      row === undefined
        ? await create(db, content, { paused: paused ?? false, actor })
        : await update(db, row, content, { body, paused, actor });
    const after = outcome && (await db.maybe(schedules.get, { name }));
    return outcome && after && { row: after, outcome };
  });
}

async function create(
  db: Database,
  content: schedules.Content,
  by: { paused: boolean; actor: string },
): Promise<"created" | undefined> {
  const { now } = await db.one(schedules.clock, {});
  const nextFireAt = nextFire(content, new Date(now))?.toISOString();
  const scheduleId = `schedule_${uuid()}`;
  const made = await db.maybe(schedules.create, { ...content, ...by, scheduleId, nextFireAt });
  return made && "created";
}

async function update(
  db: Database,
  row: schedules.FullRow,
  content: schedules.Content,
  { body, paused, actor }: { body: object; paused: boolean | undefined; actor: string },
): Promise<"updated" | "unchanged" | undefined> {
  const wasPaused = row.pausedAt !== null;
  const by = { paused: paused ?? wasPaused, actor };
  const differing = differences({ ...body }, { ...row });
  if (differing.length === 0 && by.paused === wasPaused && row.failures === 0) return "unchanged";
  const resumes = wasPaused && !by.paused;
  const moves = resumes || differing.includes("cron") || differing.includes("timezone");
  return (await rewrite(db, row, content, { ...by, moves })) ? "updated" : undefined;
}

/** Pauses or resumes the schedule; undefined when it is unknown. A schedule that is so already stays as it is. */
export async function setPaused(
  db: Database,
  name: string,
  { paused, actor, check }: { paused: boolean; actor: string; check(row: CronSpec): void },
): Promise<schedules.FullRow | undefined> {
  const done = await settled("schedules.update", async () => {
    const row = await db.maybe(schedules.get, { name });
    if (row === undefined || (paused ? row.pausedAt !== null : !isResting(row))) return { row };
    if (!paused) check(row);
    const written = await rewrite(db, row, contentOfRow(row), { paused, actor, moves: !paused });
    return written ? { row: await db.maybe(schedules.get, { name }) } : undefined;
  });
  return done.row;
}

function contentOfRow(row: schedules.FullRow): schedules.Content {
  return {
    ...row,
    input: row.input ?? undefined,
    inputMeta: row.inputMeta ?? undefined,
    metadata: row.metadata ?? undefined,
    deadlineMs: row.deadlineMs ?? undefined,
  };
}

/**
 * Writes the schedule if it is as it was read. Where the next fire `moves` it is the first from now, by the
 * database's clock, and never an instant that has fired, even if that clock has gone back.
 */
function rewrite(
  db: Database,
  row: schedules.FullRow,
  content: schedules.Content,
  by: { paused: boolean; actor: string; moves: boolean },
): Promise<object | undefined> {
  const after = Math.max(Date.parse(row.now), Date.parse(row.firedUntil ?? row.now));
  const { revision, nextFireAt: seenFireAt } = row;
  return db.maybe(schedules.change, {
    ...content,
    ...by,
    revision,
    seenFireAt,
    nextFireAt: by.moves ? nextFire(content, new Date(after))?.toISOString() : undefined,
  });
}
