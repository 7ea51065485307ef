import { randomUUID } from "node:crypto";
import type { HttpClient } from "../input/client.ts";
import type { Sink } from "../input/sink.ts";
import type { Canaries } from "./canaries.ts";

/** What was made while planting, to be read again. */
export interface Planted {
  readonly runId: string;
  readonly gateId: string;
  readonly queue: string;
  readonly schedule: string;
  readonly stream: string;
  /** A completed one. */
  readonly step: { readonly name: string; readonly key: string };
}

type Json = Record<string, unknown>;

/** Posts as JSON, with words in headers and in the query that nobody asked for. */
function poster(client: HttpClient, canaries: Canaries) {
  const word = (name: string) => canaries.word(`passing-${name}`);
  const headers = {
    "content-type": "application/json",
    "user-agent": word("user-agent"),
    referer: `http://127.0.0.1/${word("referer")}`,
    cookie: `other=${word("cookie")}`,
    "x-forwarded-for": word("forwarded-for"),
    traceparent: word("traceparent"),
  };
  const query = word("query");
  return async (path: string, body: object): Promise<Json> => {
    const { status, text } = await client.post(`${path}?q=${query}`, JSON.stringify(body), headers);
    if (status !== 200) throw new Error(`${path} answered ${status} ${text.slice(0, 500)}`);
    return JSON.parse(text) as Json;
  };
}

type Post = ReturnType<typeof poster>;

/** Puts a word into every field that takes text, and remembers every secret that the server makes. */
export async function plant(client: HttpClient, canaries: Canaries, sink: Sink): Promise<Planted> {
  const post = poster(client, canaries);
  await plantSecrets(post, canaries, sink);
  const lease = await plantRun(post, canaries);
  const work = await plantWork(post, canaries, lease);
  const gateId = await plantGate(post, canaries, lease);
  const queue = await plantJobs(post, canaries);
  const schedule = await plantSchedule(post, canaries);
  return { runId: lease.runId, gateId, queue, schedule, ...work };
}

/** Waits at the sink for the message of the gate; its codes and tokens are secrets. */
export async function channelSecrets(canaries: Canaries, body: string): Promise<void> {
  const { data } = JSON.parse(body) as { data: { decide?: Record<string, Json> } };
  for (const [decision, { code, token }] of Object.entries(data.decide ?? {})) {
    canaries.secret("one-time code", `the channel (${decision})`, code);
    canaries.secret("resolve token", `the channel (${decision})`, token);
  }
}

async function plantSecrets(post: Post, canaries: Canaries, sink: Sink): Promise<void> {
  const hook = { name: canaries.word("webhook-name"), url: `${sink.url}channel`, events: ["*"] };
  const made = await post("/v1/webhooks", { ...hook, decides: true });
  canaries.secret("webhook secret", "webhooks.create", made["secret"]);
  const rotated = await post(`/v1/webhooks/${String(made["webhookId"])}/rotate`, {});
  canaries.secret("webhook secret", "webhooks.rotate", rotated["secret"]);
  const key = await post("/v1/keys", { name: "planted", scopes: ["read", "approve"] });
  canaries.secret("key", "keys.create", key["key"]);
}

interface Lease {
  readonly runId: string;
  readonly epoch: number;
  readonly grantId: string;
}

async function plantRun(post: Post, canaries: Canaries): Promise<Lease> {
  const word = (name: string) => canaries.word(name);
  const { runId } = await post("/v1/runs", {
    ...{
      workflow: word("workflow"),
      input: { deep: [word("input")] },
      inputMeta: word("input-meta"),
    },
    ...{ tags: [word("tag")], metadata: { [word("metadata-name")]: word("metadata") } },
    idempotencyKey: word("idempotency-key"),
  });
  const grantId = `grant_${randomUUID()}`;
  const { epoch } = await post(`/v1/runs/${String(runId)}/begin`, {
    ...{ grantId, version: word("version"), holder: { host: word("host"), pid: 1 } },
    resumeHint: { command: [word("command")], cwd: word("cwd") },
  });
  return { runId: String(runId), epoch: Number(epoch), grantId };
}

async function plantWork(
  post: Post,
  canaries: Canaries,
  { runId, ...fence }: Lease,
): Promise<Pick<Planted, "stream" | "step">> {
  const word = (name: string) => canaries.word(name);
  const lease = { runId, ...fence };
  const contract = {
    ...{ sideEffects: [word("side-effect")], idempotencyKey: word("contract-key") },
    ...{ checkpointInvariant: word("invariant"), verifiedBy: word("verified-by") },
  };
  const step = { ...lease, name: word("step-name"), key: word("step-key") };
  const promise = { input: word("step-input"), inputHash: `v1:${"0".repeat(64)}`, contract };
  await post("/v1/steps/begin", { items: [{ ...step, ...promise }] });
  const output = { output: word("output"), outputMeta: word("output-meta") };
  await post("/v1/steps/complete", { items: [{ ...step, ...promise, ...output }] });
  const error = { message: word("error"), stack: word("stack"), cause: word("cause") };
  const failing = { ...lease, name: word("failing-step"), error, message: word("error-message") };
  await post("/v1/steps/fail", { items: [failing] });
  const stream = word("stream");
  const of = `/v1/runs/${runId}`;
  await post(`${of}/state`, {
    ...{ ...fence, stream, kind: "set", value: { a: word("state") }, writeKey: word("write-key") },
    ...{ label: word("label"), reason: word("label-reason"), createdBy: word("created-by") },
    target: { type: word("target-type"), id: word("target-id") },
  });
  await post(`${of}/usage`, {
    ...{
      ...fence,
      writeKey: word("usage-key"),
      kind: word("usage-kind"),
      provider: word("provider"),
    },
    ...{ model: word("model"), label: word("usage-label"), unit: word("unit"), quantity: 1 },
    metadata: { a: word("usage-metadata") },
  });
  await post(`${of}/signals`, {
    name: word("signal"),
    payload: word("signal-payload"),
    key: word("signal-key"),
  });
  await post(`${of}/timers`, { ...fence, name: word("timer"), ms: 1 });
  const child = { name: word("child"), key: word("child-key"), workflow: word("child-workflow") };
  await post(`${of}/children`, { ...fence, children: [{ ...child, input: word("child-input") }] });
  return { stream, step: { name: step.name, key: step.key } };
}

async function plantGate(
  post: Post,
  canaries: Canaries,
  { runId, ...fence }: Lease,
): Promise<string> {
  const word = (name: string) => canaries.word(name);
  const { gate } = await post(`/v1/runs/${runId}/gates`, {
    ...{ ...fence, name: word("gate"), key: word("gate-key"), prompt: word("prompt") },
    ...{ data: { a: word("gate-data") }, approvers: ["decider", "planted"] },
    capability: {
      name: word("capability"),
      scopes: [word("capability-scope")],
      reason: word("capability-reason"),
    },
    answerSchema: {
      type: "object",
      properties: { why: { type: "string", title: word("answer-title") } },
    },
  });
  return (gate as { gateId: string }).gateId;
}

async function plantJobs(post: Post, canaries: Canaries): Promise<string> {
  const word = (name: string) => canaries.word(name);
  const queue = word("queue");
  const job = { workflow: word("job-workflow"), queue, input: word("job-input") };
  const keys = { dedupeKey: word("dedupe-key"), concurrencyKey: word("concurrency-key") };
  await post("/v1/runs/enqueue", {
    items: [
      { ...job, ...keys },
      { ...job, ...{ workflow: word("failing-workflow") } },
    ],
  });
  const claim = { grantId: `grant_${randomUUID()}`, limit: 2, workerId: `worker_${randomUUID()}` };
  const { runs } = await post(`/v1/queues/${queue}/claim`, {
    ...claim,
    version: word("worker-version"),
    holder: { host: word("worker-host"), pid: 1 },
  });
  const [first, second] = runs as { runId: string; epoch: number }[];
  const failed = {
    epoch: first?.epoch,
    grantId: claim.grantId,
    error: { message: word("run-error"), stack: word("run-stack") },
  };
  await post(`/v1/runs/${first?.runId ?? ""}/fail`, failed);
  await post(`/v1/runs/${second?.runId ?? ""}/cancel`, { reason: word("cancel-reason") });
  return queue;
}

async function plantSchedule(post: Post, canaries: Canaries): Promise<string> {
  const word = (name: string) => canaries.word(name);
  const name = word("schedule");
  const run = {
    workflow: word("scheduled-workflow"),
    input: word("scheduled-input"),
    tags: [word("scheduled-tag")],
  };
  await post("/v1/schedules", { name, cron: "@yearly", queue: word("scheduled-queue"), ...run });
  await post(`/v1/schedules/${encodeURIComponent(name)}/trigger`, {
    idempotencyKey: word("trigger-key"),
  });
  return name;
}
