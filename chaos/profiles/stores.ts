import type { Edit } from "../mutants/edit.ts";
import { RACES, SDK, without } from "./files.ts";
import type { Profile } from "./profile.ts";

/** Two connections for all that a process does. */
export const pool2: Profile = {
  id: "pool-2",
  title: "a pool of 2 connections",
  edits: [
    {
      file: "core/src/connections.ts",
      search: "const { schema = DEFAULT_SCHEMA, poolMax = 10, readOnly = false } = options;",
      replace: "const { schema = DEFAULT_SCHEMA, poolMax = 2, readOnly = false } = options;",
    },
  ],
  files: [...RACES, ...SDK, "test/system/sweeps.test.ts"], // which poisons a row of each sweep
  telling: 3,
  besides: {
    "five wrong codes end every code that is out": "it waits until ten connections wait for a lock",
    "twenty that create the same child at once make one":
      "it waits until ten connections wait for a lock",
  },
};

const batch = (file: string, size: string): Edit => ({
  file,
  search: `const BATCH = ${size};`,
  replace: "const BATCH = 1;",
});

/** Whatever the product reads or does page by page, it does in as many pages as there are rows. */
export const page1: Profile = {
  id: "page-1",
  title: "pages and batches of 1",
  edits: [
    { file: "core/src/events/follow.ts", search: "const PAGE = 500;", replace: "const PAGE = 1;" },
    {
      file: "core/src/steps/sql.ts",
      search: "where bytes_before >= 8000000) > 0 as more",
      replace: "where bytes_before >= 1) > 0 as more",
    },
    {
      file: "core/src/steps/sql.ts",
      search: "from ranked where bytes_before < 8000000 order by",
      replace: "from ranked where bytes_before < 1 order by",
    },
    {
      file: "core/src/gather.ts",
      search: "const ITEMS_MAX = 1000;",
      replace: "const ITEMS_MAX = 1;",
    },
    batch("core/src/leases/lost-workers.ts", "200"),
    batch("core/src/waits/due.ts", "200"),
    batch("core/src/gates/expired.ts", "200"),
    batch("core/src/runs/overdue.ts", "200"),
    batch("core/src/runs/cascade.ts", "200"),
    batch("core/src/schedules/due.ts", "100"),
    batch("core/src/schedules/superseded.ts", "200"),
    batch("core/src/queues/push.ts", "100"),
    batch("core/src/retention/sweep.ts", "100"),
    batch("core/src/deliveries/stale.ts", "50"),
  ],
  // Schedules are left out: those tests look at what one round of the sweep does.
  files: [...without(RACES, ["schedules"]), ...SDK],
  telling: 4,
  besides: {
    "a completed step comes back bit for bit": "it asks for one page of the journal",
    "signals are taken in the order they were sent": "it asks for one page of the journal",
    "followers that are woken together read together": "it counts what batches save",
  },
};

/** Where each test file gets its database. */
const DATABASE = "core/test/support/database.ts";

/** A pooler in between: no named statements, no settings of a session, no LISTEN. */
export const pgbouncer: Profile = {
  id: "pgbouncer",
  title: "through PgBouncer in transaction mode",
  edits: [
    {
      file: DATABASE,
      search: `import { afterAll, beforeAll, expect, inject } from "vitest";`,
      replace: `import { afterAll, beforeAll, expect, inject } from "vitest";
import { seenByPgBouncer } from "../../../chaos/profiles/seen-by-pgbouncer.ts";`,
    },
    {
      file: DATABASE,
      search: "    await Promise.all([core.close(), pool.end()]);",
      replace: `    await Promise.all([core.close(), pool.end()]);
    await seenByPgBouncer(name);`,
    },
  ],
  fires: ["statements went through PgBouncer"],
  globalSetup: "chaos/profiles/pgbouncer-setup.ts",
  files: [...RACES, ...SDK],
  telling: 4,
  besides: {},
};
