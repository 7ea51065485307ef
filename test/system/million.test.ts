import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { sweepsOf } from "../../core/src/core.ts";
import * as deliveries from "../../core/src/deliveries/sql.ts";
import { ensureCluster, stopCluster } from "../../core/src/embedded/cluster.ts";
import * as gates from "../../core/src/gates/sql.ts";
import { type Core, openCore } from "../../core/src/index.ts";
import * as leases from "../../core/src/leases/sql.ts";
import { migrate } from "../../core/src/migrate.ts";
import { pulseOf } from "../../core/src/pulse-sql.ts";
import * as queues from "../../core/src/queues/sql.ts";
import * as cancelling from "../../core/src/runs/cancel-sql.ts";
import * as listing from "../../core/src/runs/list-sql.ts";
import { STATUSES } from "../../core/src/runs/schema.ts";
import * as runs from "../../core/src/runs/sql.ts";
import * as schedules from "../../core/src/schedules/sql.ts";
import type { Statement } from "../../core/src/statement.ts";
import * as waits from "../../core/src/waits/sql.ts";
import { local, operationNamed } from "../../core/test/support/database.ts";
import { hot } from "../../core/test/support/hot-statements.ts";
import { type Measured, MODES, measure } from "../support/measured-plan.ts";

/** What somebody may look for in a filled store, by its id or key. */
type Filled = Record<
  | "runId"
  | "parentRunId"
  | "forkedFrom"
  | "failedRunId"
  | "runningRunId"
  | "gateId"
  | "idempotencyKey",
  string
>;

/** Plain JavaScript, of the benchmarks' own package. */
const { fill }: { fill(databaseUrl: string, options: object): Promise<Filled> } = await import(
  new URL("../../bench/million.mjs", import.meta.url).href
);

const RUNS = 1_000_000;
const EVENTS_PER_RUN = 10;
/** Of an idle machine each is below 20 ms; a busy one is slow, but a list that grew with the store would take a second. */
const LIST_MS = 150;

type AnyStatement = Statement<never, unknown>;

/**
 * What a statement may do. By default: read what a page of 51 takes of each of eight statuses, sort as much, and touch 1,500
 * pages (12 MB, 51 rows by their keys in four tables are about 900): the smallest index of a million rows has 2,700.
 */
const DEFAULT: Bound = { rows: 1000, sorted: 1000, buffers: 1500 };

interface Bound {
  readonly rows: number;
  readonly sorted: number;
  readonly buffers: number;
}

/** Those that count or sum something: they read all of that, and nothing else. */
const COUNTING: Record<string, Bound> = {
  // The runs that are not final, and those of a day, are counted by walks of indexes alone.
  "runs.overview": { rows: 100_000, sorted: 1000, buffers: 4000 },
  // The records of a day.
  "usage.totals_of_store": { rows: 50_000, sorted: 1000, buffers: 4000 },
  // The same, and each record's run by its key.
  "usage.totals_of_workflows": { rows: 50_000, sorted: 50_000, buffers: 150_000 },
  // What waits in the queues.
  "queues.list": { rows: 20_000, sorted: 1000, buffers: 20_000 },
  // Every running run, whose holder may be gone.
  "runs.suspects": { rows: 5000, sorted: 5000, buffers: 10_000 },
  "sweeps.pulse": { rows: 5000, sorted: 1000, buffers: 10_000 },
  // 1,200 runs, each with its payload, is how far a page looks where no index answers.
  "runs.list with looks": { rows: 20_000, sorted: 20_000, buffers: 20_000 },
  // Deletes the history of a schedule, which is small; seldom sent, and not by workers.
  "schedules.remove": { rows: 20_000, sorted: 1000, buffers: 1500 },
  "retention.page": { rows: 5000, sorted: 5000, buffers: 10_000 },
};

let home: string;
let client: pg.Client;
let core: Core;
let filled: Filled;

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), "tidebase-million-"));
  const settings = {
    ...{ fsync: "off", full_page_writes: "off", synchronous_commit: "off" },
    ...{ shared_buffers: "512MB", max_wal_size: "4GB", autovacuum: "off" },
  };
  const { url } = await ensureCluster({ home, settings });
  await migrate({ databaseUrl: url });
  const told = (line: string) => process.stdout.write(`${line}\n`);
  filled = await fill(url, { runs: RUNS, eventsPerRun: EVENTS_PER_RUN, told });
  client = new pg.Client(url);
  await client.connect();
  core = openCore({ databaseUrl: url, sweeps: false });
});

afterAll(async () => {
  await core?.close();
  await client?.end();
  await stopCluster({ home });
  await rm(home, { recursive: true, force: true });
});

/** What statements are asked with unless they are asked for something else: the lease of a running run, a page. */
function asked(): Record<string, unknown> {
  const { runningRunId, gateId } = filled;
  const [runId, id] = [runningRunId, runningRunId.slice("run_".length)];
  return {
    ...{ runId, epoch: 1, grantId: `grant_${id}`, gateId, runIds: [runId], leaseMs: 60_000 },
    ...{ name: "one", key: "1", attempt: 1, onUnknown: "failed_retryable", output: "null" },
    ...{
      afterName: "",
      afterKey: "",
      afterSeq: 0,
      after: "",
      kind: "set",
      body: "{}",
      stream: "main",
    },
    ...{
      actor: "ada",
      reason: "reason",
      limit: 51,
      looks: 51,
      status: STATUSES,
      statuses: ["open"],
    },
    ...{
      queue: "queue-3",
      workflow: "workflow-3",
      dryRun: false,
      createdBy: "ada",
      label: "kept",
      version: 1,
    },
    ...{
      machine: "here",
      prompt: "Send?",
      risk: "normal",
      required: "code",
      approvals: 1,
      digest: "d",
    },
    ...{
      openedBy: "ada",
      revision: 1,
      voter: "ada",
      decider: "ada",
      via: "tty",
      level: "code",
      answerHash: "h",
    },
    ...{
      decision: "approved",
      expiresInMs: 60_000,
      payload: "1",
      ms: 1000,
      days: 30,
      tree: true,
      graceMs: 1000,
    },
    ...{
      queues: ["queue-3"],
      sending: [],
      webhookIds: [],
      each: 8,
      proofId: id,
      issuedBy: "ada",
      secretHash: "h",
    },
    ...{
      lastsMs: 1000,
      deadlineMs: 1000,
      revisionSeen: 1,
      count: 1,
      act: "skip",
      firesAs: "skipped",
      metadata: "{}",
    },
    ...{
      scheduleId: id,
      message: "no",
      maxSteps: 1000,
      childrenMax: 1000,
      levelsMax: 32,
      pushed: false,
    },
    ...{
      timerNames: ["t"],
      timerKeys: ["1"],
      retryNames: [],
      retryKeys: [],
      gateIds: [gateId],
      childNames: [],
    },
    ...{
      childKeys: [],
      joinNames: [],
      joinModes: [],
      signals: ["go"],
      signal: "go",
      parentRunId: filled.parentRunId,
    },
    ...{ forkedFromRunId: filled.forkedFrom, tag: undefined, sinceMs: 86_400_000 },
    ...{ idempotencyKey: undefined, plannedAt: "2030-01-01T00:00:00Z", until: undefined },
  };
}

/** A statement and how it is asked. */
interface Case {
  readonly statement: AnyStatement;
  readonly input: Record<string, unknown>;
  readonly bound: Bound;
}

/** What the statements of a noun understand by a name that others use as well. */
const OTHERS: Record<string, object> = {
  "runs.fail": { failureClass: "workflow_error", retryable: false },
  "gates.open": { gateId: "gate_00000000-0000-4000-8000-000000000001" },
  proofs: { kind: "code" },
  schedules: { name: "filled-1" },
  usage: { kind: "llm", workflow: undefined },
  children: {
    ...{
      names: ["part"],
      keys: ["new"],
      workflows: ["child"],
      bodyHashes: ["h"],
      inputs: [null],
      inputMetas: [null],
    },
    ...{
      metadatas: [null],
      tagLists: ["[]"],
      queues: ["queue-3"],
      priorities: [0],
      delays: [null],
      deadlines: [null],
    },
    ...{
      attempts: [3],
      concurrencyKeys: [null],
      keyLimits: [null],
      detached: [false],
      fanoutSizes: [1],
    },
  },
};

/** Lists are narrowed only by what stands here. */
const unnarrowed = { workflow: undefined, queue: undefined, name: undefined, key: undefined };

function cases(): Case[] {
  const one = (statement: AnyStatement, more: object = {}, bound?: Bound): Case => ({
    statement,
    input: { ...asked(), ...more },
    bound: bound ?? COUNTING[statement.name] ?? DEFAULT,
  });
  const special = new Set<string>(
    [listing.list, listing.listOfQueue, listing.listOfWorkflow, listing.listTagged]
      .concat([listing.listChildren, listing.listForks] as never)
      .concat([gates.list, gates.listOfRun, deliveries.listOfRun] as never)
      .map(({ name }) => name),
  );
  const looks = { ...unnarrowed, looks: 1200, search: "needle" };
  return [
    ...hot
      .filter(({ name }) => !special.has(name))
      .map((statement) =>
        one(statement, OTHERS[statement.name] ?? OTHERS[statement.name.split(".")[0] ?? ""]),
      ),
    one(listing.list, unnarrowed),
    ...STATUSES.map((status) => one(listing.list, { ...unnarrowed, status: [status] })),
    one(listing.list, {
      ...unnarrowed,
      until: new Date(Date.now() - 20 * 86_400_000).toISOString(),
    }),
    one(listing.list, looks, COUNTING["runs.list with looks"]),
    ...["workflow-0", "rare", "nobody"].map((workflow) =>
      one(listing.listOfWorkflow, { ...unnarrowed, workflow }),
    ),
    ...["queue-3", "rare", "nobody"].map((queue) =>
      one(listing.listOfQueue, { ...unnarrowed, queue }),
    ),
    ...["rare", "customer-44"].map((tag) => one(listing.listTagged, { ...unnarrowed, tag })),
    one(listing.listChildren, { ...unnarrowed, forkedFromRunId: undefined }),
    one(listing.listForks, unnarrowed),
    one(listing.listOfKey, {
      ...unnarrowed,
      ...{ parentRunId: undefined, forkedFromRunId: undefined },
      idempotencyKey: filled.idempotencyKey,
    }),
    one(gates.list, unnarrowed),
    one(gates.list, { ...unnarrowed, statuses: ["approved", "rejected", "open"] }),
    one(gates.listOfRun, unnarrowed),
    one(deliveries.list, { status: undefined, webhookId: undefined }),
    ...["pending", "dead"].map((status) => one(deliveries.list, { status, webhookId: undefined })),
    one(deliveries.listOfRun, { status: undefined, webhookId: undefined }),
    ...[runs.overview, runs.payloads, schedules.list, schedules.fires, queues.list, queues.get].map(
      (statement) => one(statement as AnyStatement, unnamed(statement)),
    ),
    ...[leases.suspects, waits.due, cancelling.deadlines, cancelling.expiring, cancelling.cascades]
      .concat([gates.expiring, schedules.supersededRuns, queues.pushing] as never)
      .concat([deliveries.stale, deliveries.toClaim, queues.toClaim] as never)
      .map((statement) =>
        one(statement as AnyStatement, { workflow: undefined, workflows: undefined }),
      ),
    one(pulseOf([...sweepsOf({}), deliveries.dueDeliveries]) as AnyStatement),
  ];
}

const unnamed = ({ name }: { name: string }) =>
  name === "schedules.fires" ? { name: "filled-1" } : {};

test.each(Object.entries(MODES))(
  "with a million runs and %s plans every hot statement reaches its rows by keys, and sorts no more than a page",
  async (_, settings) => {
    await client.query(settings);
    const found: (Measured & { name: string; bound: Bound })[] = [];
    for (const { statement, input, bound } of cases())
      found.push({ name: statement.name, bound, ...(await measure(client, statement, input)) });
    const small = [
      "clock",
      "api_keys",
      "queues",
      "webhooks",
      "schedules",
      "workers",
      "retention",
      "quarantine",
    ];
    small.push(
      "schedule_fires",
      "cascades",
      "superseded",
      "cleanups",
      "sessions",
      "gate_votes",
      "gate_proofs",
    );
    const wrong = found.filter(
      ({ scanned, rows, sorted, buffers, bound }) =>
        scanned.some((table) => !small.includes(table)) ||
        rows > bound.rows ||
        sorted > bound.sorted ||
        buffers > bound.buffers,
    );
    expect(wrong).toEqual([]);
  },
);

test("with a million runs every list answers as if there were few", async () => {
  const { runId, parentRunId, forkedFrom, gateId, idempotencyKey, failedRunId } = filled;
  const day = (n: number) => new Date(Date.now() - n * 86_400_000).toISOString();
  const page = (await core.execute(operationNamed("runs.list"), {}, local)) as {
    nextCursor: string;
  };
  const calls: [string, object][] = [
    ...[{}, { limit: 200 }, { cursor: page.nextCursor }, { since: day(20), until: day(19) }]
      .concat(STATUSES.map((status) => ({ status: [status] })) as never)
      .concat(["workflow-0", "rare", "nobody"].map((workflow) => ({ workflow })) as never)
      .concat(["queue-3", "rare", "nobody"].map((queue) => ({ queue })) as never)
      .concat(["prod", "customer-44", "rare", "nobody"].map((tag) => ({ tag })) as never)
      .concat([{ parentRunId }, { forkedFrom }, { idempotencyKey }, { search: "needle" }] as never)
      .concat([{ failureClass: "worker_lost" }, { failureClass: "manual_review" }] as never)
      .concat([
        { queue: "queue-3", workflow: "workflow-39" },
        { tag: "prod", status: ["failed"] },
      ] as never)
      .map((input): [string, object] => ["runs.list", input]),
    ["runs.overview", {}],
    ...[runId, failedRunId].map((id): [string, object] => ["runs.get", { runId: id }]),
    ["events.list", { runId }],
    ["steps.list", { runId }],
    ["children.list", { runId: parentRunId }],
    ...["open", "approved", "any"].map((status): [string, object] => ["gates.list", { status }]),
    ["gates.get", { gateId }],
    ["queues.list", { limit: 200 }],
    ["queues.get", { queue: "queue-3" }],
    ["schedules.list", {}],
    ["usage.list", { runId }],
    ["usage.totals", { since: "24h" }],
    ...[{}, { status: "dead" }, { status: "pending" }, { runId }].map((input): [string, object] => [
      "deliveries.list",
      input,
    ]),
    ["webhooks.list", {}],
    ["audit.list", {}],
  ];
  const slow: string[] = [];
  for (const [name, input] of calls) {
    const ms = await median(() => core.execute(operationNamed(name), input, local));
    const line = `${ms.toFixed(1).padStart(7)} ms  ${name} ${JSON.stringify(input).slice(0, 80)}`;
    process.stdout.write(`${line}\n`);
    if (ms > LIST_MS) slow.push(line);
  }
  expect(slow).toEqual([]);
});

test("a search without an index ends in pages, and goes on to what is old", async () => {
  const until = new Date(Date.now() - 24.8 * 86_400_000).toISOString(); // some thousands are older: ten pages at most
  const needle = { search: "needle", until };
  let cursor: string | undefined;
  for (let pages = 1; pages <= 10; pages++) {
    const input = { ...needle, ...(cursor === undefined ? {} : { cursor }) };
    const answer = await core.execute(operationNamed("runs.list"), input, local);
    const { runs: found, nextCursor } = answer as { runs: object[]; nextCursor: string | null };
    if (found.length > 0) return;
    expect(nextCursor).not.toBeNull();
    cursor = nextCursor ?? undefined;
  }
  expect.unreachable();
});

/** In milliseconds, of seven calls after one that warms the connection. */
async function median(call: () => Promise<unknown>): Promise<number> {
  await call();
  const times: number[] = [];
  for (let n = 0; n < 7; n++) {
    const since = performance.now();
    await call();
    times.push(performance.now() - since);
  }
  return times.sort((a, b) => a - b)[3] ?? 0;
}
