import { randomUUID } from "node:crypto";
import type { AnyOperation } from "@tidebase/core";
import type { Known } from "./cases.ts";

/** Executes an operation by its name, as somebody who may; what it answers, as the wire shows it. */
export type Execute = (name: string, input: object) => Promise<Record<string, unknown>>;

/** Where a webhook may go in the store at hand. */
export interface GoodOptions {
  readonly webhookUrl: string;
}

/** A run with a lease of its own. */
async function begun(execute: Execute) {
  const { runId } = await execute("runs.create", { workflow: "w" });
  const grantId = `grant_${randomUUID()}`;
  const { epoch } = await execute("runs.begin", { runId, grantId, leaseMs: 3_600_000 });
  return { runId: String(runId), epoch: Number(epoch), grantId };
}

/**
 * What a good call could say for a member of each name, so that hostile values get far: about a run with a
 * lease, an open gate and two versions of its state, made for this call.
 */
export async function goodInput(
  execute: Execute,
  { name }: Pick<AnyOperation, "name">,
  { webhookUrl }: GoodOptions,
): Promise<Known> {
  const lease = await begun(execute);
  const question = { name: "s", key: "k", prompt: "p" };
  const { gate } = await execute("gates.open", { ...lease, ...question });
  const { gateId, digest } = gate as { gateId: string; digest: string };
  const version = { ...lease, kind: "set", value: 1 };
  for (const key of ["one", "two"]) await execute("state.write", { ...version, writeKey: key });
  return {
    ...lease,
    ...IN_GENERAL,
    ...{ gateId, digest, approvals: 2, waits: { gates: [gateId] } },
    ...{ items: itemsOf(name, lease), url: webhookUrl, asOf: undefined },
    ...(await ownOf(execute, name, { ...lease, gateId }, webhookUrl)),
  };
}

/** What does not depend on the run. */
const IN_GENERAL = {
  ...{ workflow: "w", name: "s", key: "k", kind: "set", value: 1, label: "l", stream: "state" },
  ...{ error: { message: "m" }, decision: "retry", reason: "r", from: 1, to: 2, scopes: ["read"] },
  ...{ prompt: "p", data: {}, risk: "low", expiresInMs: 5_000_000, by: "day", tree: "false" },
  ...{ proof: { kind: "code", secret: "AAAA-AAAA" }, version: 1, deadlineMs: 60_000_000 },
  ...{ events: ["*"], invokes: true, decides: true, totalTokens: 3, costUsd: "0.1" },
  ...{ unit: "page", quantity: 2, signal: "s", payload: 1, ms: 1, until: "2030-01-01T00:00:00Z" },
  ...{ queue: "q/1", limit: 2, waitMs: 1, workflows: ["w"], priority: 1, concurrency: 1 },
  ...{ children: [{ name: "c", workflow: "w", queue: "q/1" }], dryRun: false, cron: "@daily" },
  ...{ timezone: "Europe/Berlin", catchUp: "none", overlap: "skip", paused: true },
};

/** Decisions about a gate are other words than those about a step; some are about a noun of their own. */
async function ownOf(
  execute: Execute,
  name: string,
  { gateId, ...lease }: { readonly runId: string; readonly gateId: string },
  url: string,
): Promise<Known> {
  if (name === "gates.redeem") {
    const { code } = await execute("gates.code", { gateId, decision: "approved" });
    return { decision: "approved", proof: { kind: "code", secret: code }, ...BESIDES };
  }
  if (name.startsWith("gates.")) return { decision: "approved", key: "k", name: "s", ...BESIDES };
  if (name === "webhooks.create") return { name: `webhook-${randomUUID()}`, decides: false };
  if (name.startsWith("webhooks.") && name !== "webhooks.list") {
    return { webhookId: await webhookFor(execute, url), disabled: true };
  }
  if (name === "keys.revoke") {
    const made = await execute("keys.create", { name: "spare", scopes: ["read"] });
    return { keyId: made["keyId"] };
  }
  if (name === "runs.create")
    return { runId: undefined, webhooks: undefined, inputMeta: undefined };
  if (name === "timers.set") return { until: undefined };
  if (name === "schedules.put") return { name: "nightly" };
  if (name.startsWith("schedules.") && name !== "schedules.list") {
    await execute("schedules.put", { name: "nightly", workflow: "w", cron: "@yearly" });
    return { name: "nightly", cron: "@monthly" };
  }
  if (name === "deliveries.redeliver") {
    return { webhookId: await webhookFor(execute, url), deliveryId: undefined };
  }
  if (name === "runs.fork") return { from: undefined, atSeq: undefined, edit: undefined };
  if (name === "runs.complete") return { items: [{ ...lease, result: 1 }] };
  if (name === "runs.erase" || name.startsWith("cleanups."))
    await execute("runs.cancel", { runId: lease.runId });
  if (name === "cleanups.end") await execute("cleanups.begin", lease);
  if (name === "runs.erase") return { tree: false };
  if (name === "runs.recover") await execute("runs.fail", { ...lease, error: { message: "m" } });
  if (name === "steps.review")
    await execute("steps.fail", { items: [{ ...lease, name: "s", key: "k", ...FAILURE }] });
  if (name === "steps.get" || name === "steps.journal")
    await execute("steps.complete", { items: [{ ...lease, name: "s", key: "k", output: 1 }] });
  return {};
}

/** One that gets no message of the runs that are made for other calls. */
async function webhookFor(execute: Execute, url: string): Promise<unknown> {
  const webhook = { name: `webhook-${randomUUID()}`, url, everyRun: false };
  return (await execute("webhooks.create", webhook))["webhookId"];
}

/** The gate asks for no answer, and a code's courier adds nothing. */
const BESIDES = { answer: undefined, note: undefined };
/** Final, and of a step whose effect may have happened: it waits for a review. */
const FAILURE = { error: {}, message: "m", contract: { sideEffects: ["mail"] } };

/** The items of those that take several. */
function itemsOf(name: string, lease: object): object[] {
  if (name === "runs.watch" || name === "runs.heartbeat") return [lease];
  if (name === "runs.enqueue") return [{ workflow: "w", queue: "q/1", dedupeKey: randomUUID() }];
  const step = { ...lease, name: "s", key: "k" };
  if (name === "steps.begin") return [step];
  if (name === "steps.fail") return [{ ...step, ...FAILURE }];
  return [{ ...step, output: 1 }];
}
