import type { DatabaseStore, EmbeddedStore, Examination } from "@tidebase/core";
import { count, plain, tidebaseLine } from "../output.ts";
import type { Place } from "../stores.ts";
import { type Check, fail, lasting, ok, warn } from "./check.ts";

/** A store's database under the eyes of the doctor. */
export interface DatabaseContext {
  readonly found: DatabaseStore | EmbeddedStore;
  readonly place: Place;
  readonly pooled: boolean;
  readonly examination: Examination;
  /** From when on a transaction is long. */
  readonly longMs: number;
  readonly pending: () => Promise<readonly string[]>;
}

const OLDEST_POSTGRES = 14;
const CLOCK_MS = 5_000;
const HOUR_MS = 3_600_000;

/** Of the server, whatever it holds. */
export const serverChecks: readonly Check<DatabaseContext>[] = [
  {
    name: "database",
    async look({ examination }) {
      const { serverVersion, major, standby } = await examination.settings();
      if (major < OLDEST_POSTGRES)
        return fail(
          `Postgres ${serverVersion} is too old.`,
          `Use Postgres ${OLDEST_POSTGRES} or newer.`,
        );
      if (standby)
        return fail(
          `Postgres ${serverVersion} answers, as a replica: it takes no writes.`,
          "Name the primary in TIDEBASE_DATABASE_URL.",
        );
      return ok(`Postgres ${serverVersion} answers.`);
    },
  },
  {
    name: "pooler",
    look: ({ pooled }) =>
      pooled
        ? warn(
            "A pooler stands between: no prepared statements and no LISTEN, so steps cost more and waiting ends by polling.",
            "Name Postgres itself in TIDEBASE_DATABASE_URL (often port 5432), or leave it: everything works.",
          )
        : ok("The connection is direct."),
  },
  {
    name: "settings",
    async look({ examination }) {
      const { fsync, fullPageWrites, synchronousCommit, autovacuum } = await examination.settings();
      const lose = [
        ...(fsync === "off" ? ["fsync"] : []),
        ...(fullPageWrites === "off" ? ["full_page_writes"] : []),
        ...(synchronousCommit === "off" ? ["synchronous_commit"] : []),
      ];
      if (lose.length > 0)
        return fail(
          `${lose.join(", ")} ${lose.length === 1 ? "is" : "are"} off: a crash of the machine loses finished steps.`,
          `${lose.map((name) => `alter system set ${name} = on;`).join(" ")} select pg_reload_conf();`,
        );
      if (autovacuum === "off")
        return warn(
          "autovacuum is off: tables only grow.",
          "alter system set autovacuum = on; select pg_reload_conf();",
        );
      return ok("Finished steps survive a crash of the machine.");
    },
  },
];

/** Whether the schema is there and as this program wants it. The checks below need it. */
export const migrationCheck: Check<DatabaseContext> = {
  name: "migrations",
  async look({ found, place, pending }) {
    const missing = await pending();
    if (missing.length === 0) return ok(`The schema ${place.schema} is up to date.`);
    const foreign = found.foundBy === "DATABASE_URL" || found.foundBy === ".env";
    const migrate = tidebaseLine(["migrate"]);
    return fail(
      `The schema ${place.schema} lacks ${missing.join(", ")}.`,
      foreign ? `TIDEBASE_DATABASE_URL=… ${migrate}` : migrate,
    );
  },
};

/** Of the store's tables, as only its database tells. */
export const tableChecks: readonly Check<DatabaseContext>[] = [
  {
    name: "privileges",
    async look({ examination }) {
      const lacking = await examination.lacking();
      if (lacking.length === 0) return ok("The user may read and write every table of the store.");
      const [first] = lacking;
      return fail(
        `The user lacks rights on ${count(lacking.length, "table")}, such as ${first?.rights.join(", ")} on ${first?.name}.`,
        "grant select, insert, update, delete on all tables in schema … to …;",
      );
    },
  },
  {
    name: "clock",
    async look({ examination }) {
      const read = await examination.clock();
      if (read === undefined)
        return fail(
          "The row of tidebase.clock is gone: nothing of the store can tell the time.",
          "insert into tidebase.clock (id, shift) values (1, interval '0');",
        );
      const { shiftMs, offByMs, withinMs } = read;
      if (shiftMs !== 0)
        return fail(
          `The store's time is moved by ${lasting(shiftMs)}, as only tests do: leases and timers follow it.`,
          "update tidebase.clock set shift = interval '0';",
        );
      if (Math.abs(offByMs) - withinMs > CLOCK_MS)
        return warn(
          `The database's clock is ${lasting(Math.abs(offByMs))} ${offByMs > 0 ? "ahead of" : "behind"} this machine's.`,
          "Let both machines follow a time server (NTP).",
        );
      return ok("The database's clock agrees with this machine's.");
    },
  },
  {
    name: "quarantine",
    async look({ examination }) {
      const rows = await examination.quarantined();
      const [first] = rows;
      if (first === undefined) return ok("No sweep has given up on anything.");
      const all = rows.map(({ sweep, found }) => `${sweep} on ${count(found, "run")}`).join(", ");
      return fail(
        `Sweeps gave up: ${all}. The last reason: ${plain(first.lastError)}`,
        tidebaseLine(["runs", "get", first.runId]),
      );
    },
  },
  {
    name: "transactions",
    async look({ examination, longMs }) {
      const [first, ...rest] = await examination.transactions(longMs);
      if (first === undefined) return ok("No transaction is open for long.");
      const { pid, program, state, openMs } = first;
      const more = rest.length === 0 ? "" : `, and ${rest.length} more`;
      return warn(
        `${plain(program)} (pid ${pid}, ${plain(state)}) has a transaction open for ${lasting(openMs)}${more}: what it might read is not cleaned up.`,
        pid === 0 ? "rollback prepared '…';" : `select pg_terminate_backend(${pid});`,
      );
    },
  },
  {
    name: "vacuum",
    async look({ place, examination }) {
      const [first] = await examination.bloated();
      if (first === undefined) return ok("Dead rows are cleaned up.");
      const { name, dead, live } = first;
      return warn(
        `The table ${name} has ${count(dead, "dead row")} beside ${live} live ones.`,
        `vacuum analyze ${place.schema}.${name};`,
      );
    },
  },
  {
    name: "retention",
    async look({ examination }) {
      const read = await examination.retention();
      if (read === undefined)
        return fail(
          "The row of tidebase.retention is gone: nothing is ever deleted.",
          "insert into tidebase.retention (id, days, next_at) values (1, 30, tidebase.now());",
        );
      const { days, overdueMs } = read;
      if (days > 0 && overdueMs > HOUR_MS)
        return warn(
          `What ended over ${count(days, "day")} ago should go, and nobody has looked for ${lasting(overdueMs)}.`,
          "Keep a server running: npx tidebase-server",
        );
      if (days === 0) return ok("History is kept for ever: TIDEBASE_RETENTION_DAYS is 0.");
      return ok(`History is kept for ${count(days, "day")}.`);
    },
  },
];
