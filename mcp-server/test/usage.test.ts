import { expect, test } from "vitest";
import { newGrant, useDatabase } from "../../core/test/support/database.ts";
import { useAgent } from "./support.ts";

const db = useDatabase();
const agent = useAgent(() => ({ TIDEBASE_DATABASE_URL: db.url }));

test("a run tells its usage and that of its tree, the overview that of the last 24 hours", async () => {
  expect(await agent.call("tidebase_overview")).not.toHaveProperty("usageLastDay");
  const lease = await db.begun();
  const { runId } = lease;
  expect(await agent.call("tidebase_get_run", { runId })).not.toHaveProperty("usage");
  await db.call("usage.record", { ...lease, kind: "llm", inputTokens: 10, costUsd: "0.010" });
  await db.call("usage.record", { ...lease, kind: "llm", outputTokens: 5 });
  const own = { costUsd: "0.01", inputTokens: 10, outputTokens: 5, records: 2, withoutCost: 1 };
  const alone = await agent.call("tidebase_get_run", { runId });
  expect(alone.usage).toEqual(own);
  expect(alone).not.toHaveProperty("treeUsage");
  const children = [{ name: "part", workflow: "w" }];
  const { results } = await db.call("children.create", { ...lease, children });
  const [child] = results as [{ runId: string }];
  const grantId = newGrant();
  const { epoch } = await db.call("runs.begin", { runId: child.runId, grantId });
  await db.call("usage.record", { runId: child.runId, epoch, grantId, kind: "llm", costUsd: 2 });
  const whole = { ...own, costUsd: "2.01", records: 3 };
  const answer = await agent.call("tidebase_get_run", { runId });
  expect(answer).toMatchObject({ usage: own, treeUsage: whole });
  expect((await agent.call("tidebase_overview")).usageLastDay).toEqual(whole);
  await db.advance("25 hours");
  expect(await agent.call("tidebase_overview")).not.toHaveProperty("usageLastDay");
});
