import { expect, onTestFinished, test } from "vitest";
import * as children from "../src/children/sql.ts";
import * as cleanups from "../src/cleanups/sql.ts";
import * as proofs from "../src/gates/proofs-sql.ts";
import * as gates from "../src/gates/sql.ts";
import * as leases from "../src/leases/sql.ts";
import * as queues from "../src/queues/sql.ts";
import * as recovery from "../src/recovery/sql.ts";
import * as retention from "../src/retention/sql.ts";
import * as cancelling from "../src/runs/cancel-sql.ts";
import * as erasing from "../src/runs/erase-sql.ts";
import * as schedules from "../src/schedules/sql.ts";
import * as state from "../src/state/sql.ts";
import type { Statement } from "../src/statement.ts";
import * as steps from "../src/steps/sql.ts";
import * as usage from "../src/usage/sql.ts";
import * as waits from "../src/waits/sql.ts";
import { useDatabase } from "./support/database.ts";

const db = useDatabase();

/** What workers send all day long. */
const hot: Statement<never, unknown>[] = [
  ...[steps.begin, steps.complete, steps.fail, steps.journal],
  ...(steps.complete.lone === undefined ? [] : [steps.complete.lone as Statement<never, unknown>]),
  ...[leases.begin, leases.heartbeat, leases.release, leases.complete, leases.fail],
  ...[state.write, state.label, leases.interrupt, recovery.recover],
  ...[queues.claim, leases.leaseStatus, cancelling.cancel, cancelling.pastDeadline],
  ...[cancelling.unclaimed, cancelling.setDeadline, cleanups.begin],
  ...[cleanups.end, cancelling.orphans],
  ...[children.limitKeys, children.create, children.list],
  ...[waits.suspend, waits.setTimer, waits.sendSignal, waits.takeSignal, waits.wake],
  ...[
    gates.open,
    gates.get,
    gates.asked,
    gates.votes,
    gates.vote,
    gates.decide,
    gates.extend,
    gates.expire,
  ],
  ...[schedules.due, schedules.fire, schedules.failed, schedules.get, schedules.remove],
  ...[usage.record, usage.list, usage.totalsOfRuns, usage.totalsOfStore],
  ...[erasing.erase, retention.setDays, retention.page, retention.forget],
  ...[proofs.issue, proofs.find, proofs.spend, proofs.miss],
];

interface Plan {
  readonly "Node Type": string;
  readonly "Relation Name"?: string;
  readonly "Index Cond"?: string;
  readonly Plans?: readonly Plan[];
}

/** Tables that a plan reads whole, or by walking a whole index. */
function readsWhole(plan: Plan): string[] {
  const below = plan.Plans ?? [];
  const scans = /Scan$/.test(plan["Node Type"]) && plan["Relation Name"] !== undefined;
  const byIndex = [plan, ...below].some((node) => node["Index Cond"] !== undefined);
  const isSmall = ["clock", "api_keys"].includes(plan["Relation Name"] ?? ""); // one row, or asked for any
  const own = scans && !byIndex && !isSmall ? [plan["Relation Name"]] : [];
  return [...own, ...below.flatMap(readsWhole)].filter((name) => name !== undefined);
}

const sizes = ["that was never analyzed", "of one run", "of thirty runs"];

test.each(sizes)(
  "on a store %s the hot statements are planned to reach every row by a key",
  async (size) => {
    if (size !== sizes[0]) {
      for (let n = 0; n < (size === sizes[1] ? 1 : 30); n++) {
        const lease = await db.begun();
        const items = Array.from({ length: 10 }, (_, k) => ({
          ...lease,
          name: "s",
          key: `${k}`,
          output: k,
        }));
        await db.call("steps.complete", { items });
        await db.call("state.write", {
          ...lease,
          kind: "set",
          value: 1,
          writeKey: "k",
          label: "l",
        });
      }
      await db.pool.query("analyze");
    }
    const client = await db.pool.connect();
    onTestFinished(() => client.release(true));
    await client.query("set plan_cache_mode = force_generic_plan; set enable_seqscan = off");
    for (const { name, text, parameters } of hot) {
      await client.query(`prepare hot as ${text}`);
      const nulls = parameters.map(() => "null").join(", ");
      const { rows } = await client.query(`explain (format json) execute hot (${nulls})`);
      await client.query("deallocate hot");
      expect({ name, whole: readsWhole(rows[0]["QUERY PLAN"][0].Plan) }).toEqual({
        name,
        whole: [],
      });
    }
  },
);
