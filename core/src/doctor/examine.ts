import { openDatabase } from "../database.ts";
import { checkSchema, DEFAULT_SCHEMA } from "../schema-name.ts";
import { withClient } from "../store/connection.ts";
import * as doctor from "./sql.ts";

/** A look at a store's database. Each answer is asked for by itself: what one lacks, the others still tell. */
export interface Examination {
  readonly settings: () => Promise<doctor.ServerSettings>;
  /** `offByMs`: how far the database's clock is ahead of this machine's, of which `withinMs` is unsure. */
  readonly clock: () => Promise<
    { readonly shiftMs: number; readonly offByMs: number; readonly withinMs: number } | undefined
  >;
  readonly lacking: () => Promise<readonly { name: string; rights: readonly string[] }[]>;
  readonly lapsed: () => Promise<{ found: number; runId: string | null }>;
  readonly quarantined: () => Promise<
    readonly { sweep: string; found: number; runId: string; lastError: string }[]
  >;
  /** Open for longer than this, in milliseconds. */
  readonly transactions: (
    overMs: number,
  ) => Promise<readonly { pid: number; program: string; state: string; openMs: number }[]>;
  readonly bloated: () => Promise<readonly { name: string; dead: number; live: number }[]>;
  /** Undefined where the store's own row is gone. */
  readonly retention: () => Promise<{ days: number; overdueMs: number } | undefined>;
  readonly close: () => Promise<void>;
}

/** Which database, and how this machine tells the time in milliseconds. */
export interface ExamineOptions {
  readonly databaseUrl: string;
  readonly schema?: string | undefined;
  readonly pooled: boolean;
  readonly machineNow?: () => number;
}

/** Opens a look at the database, over one connection that writes nothing. */
export function openExamination({
  databaseUrl,
  schema = DEFAULT_SCHEMA,
  pooled,
  machineNow = Date.now,
}: ExamineOptions): Examination {
  const schemaName = checkSchema(schema);
  const db = openDatabase({ databaseUrl, schema, poolMax: 1, readOnly: true });
  let ready = pooled;
  async function patient(): Promise<typeof db> {
    if (!ready) await db.one(doctor.patience, {});
    ready = true;
    return db;
  }
  return {
    settings: async () => (await patient()).one(doctor.settings, {}),
    async clock() {
      const asked = await patient();
      const before = machineNow();
      const read = await asked.maybe(doctor.clock, {});
      const withinMs = (machineNow() - before) / 2;
      if (read === undefined) return undefined;
      const offByMs = Date.parse(read.at) - (before + withinMs);
      return { shiftMs: read.shiftMs, offByMs, withinMs };
    },
    lacking: async () => (await patient()).many(doctor.lacking, {}),
    lapsed: async () => (await patient()).one(doctor.lapsed, {}),
    quarantined: async () => (await patient()).many(doctor.quarantined, {}),
    transactions: async (overMs) => (await patient()).many(doctor.transactions, { overMs }),
    bloated: async () => (await patient()).many(doctor.bloated, { schemaName }),
    retention: async () => (await patient()).maybe(doctor.retention, {}),
    close: db.close,
  };
}

/**
 * Whether something like PgBouncer stands between: a connection's backend is then not the one that answers
 * it. Throws StoreError.
 */
export async function isPooled(databaseUrl: string): Promise<boolean> {
  return await withClient(databaseUrl, async (client) => {
    const { rows } = await client.query<{ pid: number }>("select pg_backend_pid() as pid");
    return rows[0]?.pid !== Reflect.get(client, "processID");
  });
}
