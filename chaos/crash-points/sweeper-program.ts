import { openCore } from "@tidebase/core";

/*
 * The process under test that sweeps the database named: settles what is due, waits for what it sends and ends. Its points
 * come in the same order every time, for it has one connection and no pulse.
 */

const [databaseUrl = ""] = process.argv.slice(2);
const HOUR = 3_600_000;
const core = openCore({
  databaseUrl,
  poolMax: 1,
  sweepEveryMs: HOUR,
  sweepGraceMs: 0,
  webhooks: { allow: ["127.0.0.1"] },
});
await core.settle();
await core.close();
