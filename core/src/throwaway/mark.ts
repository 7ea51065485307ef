import { hostname } from "node:os";
import type pg from "pg";
import { isAlive, ownIdentity, type ProcessIdentity } from "../embedded/live-process.ts";
import { thisMachine } from "../leases/holder.ts";

/** What a throw-away database is called, and a draft of a template until it is whole. */
export const PREFIX = "tidebase_throwaway_";
/** What a migrated template is called. */
export const TEMPLATE_PREFIX = "tidebase_template_";

/** A process of another machine cannot be looked at: its databases are believed to be used for a day. */
const FOREIGN_MS = 86_400_000;
/** A database is marked right after it was made; one without a mark by then lost its maker in between. */
const UNMARKED_MS = 600_000;
const UNUSED_TEMPLATE_MS = 604_800_000;

/** Kept as the comment of a database: it is no part of its content, so a clone or a copy does not have it. */
interface Mark {
  readonly tidebase: "throwaway";
  readonly machine: string;
  readonly process: ProcessIdentity;
  readonly madeAt: string;
}

/** The mark of a database that this process makes. */
export function ownMark(): string {
  const mark: Mark = {
    tidebase: "throwaway",
    machine: machine(),
    process: ownIdentity(),
    madeAt: new Date().toISOString(),
  };
  return JSON.stringify(mark);
}

/** A database of this kit, as the server lists it. */
export interface Listed {
  readonly name: string;
  readonly mark: string | null;
  readonly clients: number;
}

/** All databases that the kit has made on this server. */
export async function listMade(client: pg.Client): Promise<Listed[]> {
  const { rows } = await client.query<Listed>(
    `select datname as name, shobj_description(oid, 'pg_database') as mark,
        (select count(*)::int from pg_stat_activity a where a.datid = d.oid) as clients
      from pg_database d where starts_with(datname, $1) or starts_with(datname, $2)`,
    [PREFIX, TEMPLATE_PREFIX],
  );
  return rows;
}

/** Whether nobody will ever drop the database but us: its process is gone. In doubt it is left alone. */
export function isLeftOver({ name, mark, clients }: Listed, template: string): boolean {
  if (name.startsWith(TEMPLATE_PREFIX))
    return name !== template && clients === 0 && ageOf(mark ?? "") > UNUSED_TEMPLATE_MS;
  const read = readMark(mark);
  if (read === undefined) return clients === 0 && ageOf(madeAtOf(name)) > UNMARKED_MS;
  if (read.machine === machine()) return !isAlive(read.process);
  return clients === 0 && ageOf(read.madeAt) > FOREIGN_MS;
}

/** A name that tells when it was given. */
export function newName(random: string): string {
  return `${PREFIX}${Date.now()}_${random}`;
}

function madeAtOf(name: string): string {
  const ms = Number(/^\d+/.exec(name.slice(PREFIX.length))?.[0]);
  return Number.isFinite(ms) ? new Date(ms).toISOString() : "";
}

/** How old in milliseconds; what tells no time is as young as can be. */
function ageOf(at: string): number {
  const ms = Date.parse(at);
  return Number.isNaN(ms) ? 0 : Date.now() - ms;
}

function machine(): string {
  return thisMachine() ?? hostname();
}

function readMark(text: string | null): Mark | undefined {
  try {
    const mark = JSON.parse(text ?? "") as Mark;
    return mark.tidebase === "throwaway" ? mark : undefined;
  } catch {
    return undefined;
  }
}
