import { findStore, openCore, openStore } from "@tidebase/core";
import { configOf, coreOptionsOf, openLog, startServer, stopOnSignal } from "@tidebase/server";
import { readServerSettings } from "./config.ts";

/*
 * The server's program with what its `main.ts` keeps to itself: how many connections, and how soon a lapsed lease counts
 * as a lost worker. A trial lasts seconds; by the product's own patience of 10 s no worker would ever be lost in one.
 */
const { environment, ...own } = readServerSettings();
const config = configOf({ port: 0, gateCodes: false }, environment);
const log = openLog(config.logLevel);
const found = await findStore(environment, { remote: false, cwd: process.cwd() });
if (found.kind !== "database") throw new Error("A server of a trial serves the trial's database.");
const store = await openStore(found, { autoMigrate: false });
const core = openCore({
  databaseUrl: store.databaseUrl,
  schema: store.schema,
  ...coreOptionsOf(config),
  ...(own.poolMax !== undefined && { poolMax: own.poolMax }),
  ...(own.sweepGraceMs !== undefined && { sweepGraceMs: own.sweepGraceMs }),
  ...(own.sweepEveryMs !== undefined && { sweepEveryMs: own.sweepEveryMs }),
});
const server = await startServer({ ...config, core, store: store.description, log });
stopOnSignal(
  async () => {
    await server.close();
    await core.close();
    await store.leave();
  },
  (error) => {
    log.fatal({ err: error }, "it could not stop");
    process.exit(1);
  },
);
process.stdout.write(`listens on ${server.url}\n`);
