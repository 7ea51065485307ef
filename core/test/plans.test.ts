import { expect, onTestFinished, test } from "vitest";
import { useDatabase } from "./support/database.ts";
import { hot } from "./support/hot-statements.ts";

const db = useDatabase();

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
