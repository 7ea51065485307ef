import { LOCAL, operations, SCOPES, toJson } from "@tidebase/core";
import { sweepsOf } from "../../core/src/core.ts";
import type { Bench } from "./bench.ts";
import { type Ids, type Original, takeOut } from "./copies.ts";
import { readRun } from "./final-read.ts";
import type { Circumstances, State } from "./model.ts";

/** Where a case begins. */
export const STARTS = [
  "pending",
  "running",
  "lapsed",
  "waiting",
  "failed",
  "completed",
  "cancelled",
  "interrupted",
  "queued",
  "queued with a limit",
  "running of a queue",
  "lapsed of a queue",
  "last attempt lapsed",
  "waiting of a queue",
  "dead letter",
] as const;
export type Start = (typeof STARTS)[number];

/** The circumstances that a pair of operations asks for, and whether the run has a child. */
export type Wanted = Omit<Circumstances, "maxAttempts"> & { readonly hasChild: boolean };

/** A prepared run: its rows, and what the model starts from. */
export interface Prepared {
  readonly original: Original;
  readonly state: State;
  readonly lastSeq: number;
  readonly digest: string;
  readonly queue: string;
}

/** The grant under which the holder works, epoch 1, in every case. */
export const HOLDER = "00000000-0000-4000-8000-00000000000a";
/** The grant of the child's worker, epoch 1. */
export const CHILD = "00000000-0000-4000-8000-00000000000c";
/** What the run's step, timer and signal are called. */
export const STEP = "pay";
const TIMER = "sleep";
export const SIGNAL = "go";

const LEASE_MS = 3_600_000;
const YEAR_MS = 31_536_000_000;
const NO_ID = "ffffffff-ffff-4fff-8fff-ffffffffffff";

interface Making {
  readonly bench: Bench;
  readonly start: Start;
  readonly wanted: Wanted;
  readonly queue: string;
}

type Answer = Record<string, unknown>;

/** Prepares the run by real operations, and takes its rows out of the store again. */
export async function prepare(bench: Bench, start: Start, wanted: Wanted): Promise<Prepared> {
  const queue = start === "queued with a limit" ? "limited" : "work";
  const making = { bench, start, wanted, queue };
  const runId = await create(making);
  const isBegun = start !== "pending" && !start.startsWith("queued");
  const lease = { runId, epoch: 1, grantId: `grant_${HOLDER}` };
  const gate = isBegun ? await work(making, lease) : undefined;
  const child = wanted.hasChild && isBegun ? await createChild(making, lease) : undefined;
  if (isBegun) await bring(making, lease, { gate: gate?.gateId, child });
  await settle(bench, runId, wanted);
  const ids: Ids = {
    run: bare(runId),
    child: bare(child ?? NO_ID),
    gate: bare(gate?.gateId ?? NO_ID),
  };
  const grants = new Map([[HOLDER, "holder"]]);
  const { run, lastSeq, broken } = await readRun(bench, ids, { since: Infinity, grants });
  if (broken.length > 0) throw new Error(`${start}: ${broken.join("; ")}`);
  const { hasChild: _, isAged, isExpired, ...circumstances } = wanted;
  const isEnded = ["completed", "cancelled", "failed"].includes(run.status);
  const state: State = {
    ...run,
    ...circumstances,
    isAged: isAged && isEnded,
    isExpired: isExpired && start.startsWith("queued"),
    maxAttempts: start === "last attempt lapsed" ? 1 : 2,
  };
  const original = await takeOut(bench, ids);
  return { original, state, lastSeq, digest: gate?.digest ?? "v1:none", queue };
}

async function call({ bench }: Making, name: string, input: object): Promise<Answer> {
  const operation = operations.find((one) => one.name === name);
  if (operation === undefined) throw new Error(`No operation ${name}.`);
  const actor = { ...LOCAL, scopes: SCOPES };
  return JSON.parse(toJson(await bench.core.execute(operation, input, actor)));
}

function ofQueue(start: Start): boolean {
  return start.includes("queue") || start.startsWith("last") || start === "dead letter";
}

async function create(making: Making): Promise<string> {
  const { start, queue } = making;
  if (!ofQueue(start))
    return String((await call(making, "runs.create", { workflow: "case" }))["runId"]);
  if (queue === "limited") await call(making, "queues.update", { queue, concurrency: 1 });
  const maxAttempts = start === "last attempt lapsed" ? 1 : 2;
  const backoff = { minMs: 0, maxMs: 0 };
  const item = { workflow: "case", queue, maxAttempts, backoff };
  const { results } = await call(making, "runs.enqueue", { items: [item] });
  return String((results as Answer[])[0]?.["runId"]);
}

/** Begins or claims the run, begins its step, opens its gate and sets its timer. */
async function work(making: Making, lease: { runId: string; grantId: string }) {
  const { runId, grantId } = lease;
  const taken = { grantId, leaseMs: LEASE_MS };
  if (ofQueue(making.start)) await call(making, "queues.claim", { queue: making.queue, ...taken });
  else await call(making, "runs.begin", { runId, ...taken });
  const contract = making.wanted.isRisky ? { sideEffects: ["payment"] } : {};
  await call(making, "steps.begin", { items: [{ ...lease, name: STEP, contract }] });
  await call(making, "timers.set", { ...lease, name: TIMER, ms: YEAR_MS });
  const question = { name: "ask", prompt: "Go on?", risk: "low" };
  const { gate } = await call(making, "gates.open", { ...lease, ...question });
  return gate as { gateId: string; digest: string };
}

async function createChild(making: Making, lease: object): Promise<string> {
  const children = [{ name: "part", workflow: "part" }];
  const { results } = await call(making, "children.create", { ...lease, children });
  const runId = String((results as Answer[])[0]?.["runId"]);
  await call(making, "runs.begin", { runId, grantId: `grant_${CHILD}`, leaseMs: LEASE_MS });
  return runId;
}

/** What a suspended run of a case waits for. */
export const waitsOf = (gateId: string | undefined, hasChild: boolean): object => ({
  gates: gateId === undefined ? [] : [gateId],
  timers: [{ name: TIMER }],
  signals: [SIGNAL],
  children: hasChild ? [{ name: "part" }] : [],
});

/** From running to where the case begins. */
async function bring(
  making: Making,
  lease: { runId: string },
  { gate, child }: { gate: string | undefined; child: string | undefined },
): Promise<void> {
  const { bench, start } = making;
  const { runId } = lease;
  if (start.startsWith("waiting"))
    await call(making, "runs.suspend", { ...lease, waits: waitsOf(gate, child !== undefined) });
  if (start === "completed") await call(making, "runs.complete", { items: [lease] });
  if (start === "cancelled") await call(making, "runs.cancel", { runId });
  if (start === "failed" || start === "dead letter")
    await call(making, "runs.fail", { ...lease, ...FAILURE });
  const text = `update tidebase.runs set lease_expires_at = tidebase.now() - interval '1 hour' where run_id = $1`;
  if (start.includes("lapsed") || start === "interrupted") await bench.query(text, [bare(runId)]);
  if (start === "interrupted") {
    const lost = sweepsOf({}).find(({ name }) => name === "lost_workers");
    await lost?.settle(bench.db, [{ runId, epoch: 1, reason: "lease_over" }]);
  }
}

const FAILURE = { error: { name: "Error", message: "no" }, retryable: false };

/** What time alone would have brought about. */
async function settle({ query }: Bench, runId: string, wanted: Wanted): Promise<void> {
  const texts = [
    [wanted.isOverdue, "runs set deadline_at = tidebase.now() - interval '1 hour' where true"],
    [
      wanted.isExpired,
      "runs set expires_at = tidebase.now() - interval '1 hour' where status = 'queued'",
    ],
    [wanted.isSlept, "timers set due_at = tidebase.now() - interval '1 hour' where true"],
    [
      wanted.isSlept,
      "runs set wake_at = tidebase.now() - interval '1 hour' where status = 'waiting'",
    ],
    [
      wanted.isGateOver,
      "gates set expires_at = tidebase.now() - interval '1 hour' where decided_at is null",
    ],
    [wanted.isAged, "runs set ended_at = ended_at - interval '40 days' where ended_at is not null"],
  ] as const;
  for (const [isWanted, text] of texts)
    if (isWanted) await query(`update tidebase.${text} and run_id = $1`, [bare(runId)]);
}

function bare(id: string): string {
  return id.slice(id.lastIndexOf("_") + 1);
}
