import { openCore } from "@tidebase/core";

/** A process that does nothing but sweep the database named, until it is killed. */
const core = openCore({ databaseUrl: process.argv[2] ?? "", sweepEveryMs: 5 });
const { retentionDays } = await core.status();
console.log(`sweeping, ${retentionDays} days`);
