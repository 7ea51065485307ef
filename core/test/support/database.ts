import { randomUUID } from "node:crypto";
import pg from "pg";
import { afterAll, beforeAll, expect, inject } from "vitest";
import {
  type Actor,
  type AnyOperation,
  type Core,
  LOCAL,
  openCore,
  operations,
  SCOPES,
  type Scope,
  toJson,
} from "../../src/index.ts";

/** Everything a caller can be allowed, with nothing that shows a human. */
export const local: Actor = { ...LOCAL, scopes: SCOPES };

/** This test file's own database, a copy of the migrated template. */
export interface TestDatabase {
  readonly url: string;
  readonly pool: pg.Pool;
  readonly core: Core;
  /** Executes an operation by its name, as `local` or another; what it answers, as the wire shows it. */
  call(name: string, input: object, actor?: Actor): Promise<Record<string, unknown>>;
  /** Moves the database's clock. */
  advance(interval: string): Promise<void>;
  /** A run with a lease, or without one. */
  begun(): Promise<{ runId: string; epoch: number; grantId: string }>;
  pending(): Promise<string>;
  /** Ends the run with its result, see `completing`. */
  complete: ReturnType<typeof completing>;
  /** Ends a run as a cancellation does. */
  cancel(runId: string): Promise<void>;
  /** Opens a gate under the lease. */
  gate(lease: object, more?: object): Promise<{ gateId: string; digest: string; status: string }>;
  /** A webhook that may carry decisions, to an address that answers nobody. */
  channel(name: string): Promise<{ name: string; webhookId: string }>;
  /** Holds the run's row until the returned function is called. */
  hold(runId: string): Promise<() => Promise<void>>;
  /** Waits until so many connections wait for a lock. */
  blocked(n: number): Promise<void>;
}

/** A human at a terminal of this machine: what a one-time code would prove. */
export const ada: Actor = { name: "ada", scopes: SCOPES, via: "tty" };

/** Somebody signed in with a key of their own. */
export const signedIn = (name: string, scopes: readonly Scope[] = ["read", "approve"]): Actor => ({
  name,
  scopes,
  via: `key_${randomUUID()}`,
});

export const newGrant = (): string => `grant_${randomUUID()}`;

export function operationNamed(name: string): AnyOperation {
  const operation = operations.find((candidate) => candidate.name === name);
  if (operation === undefined) throw new Error(`No operation ${name}.`);
  return operation;
}

/** Ends runs by this call, a result in `more`; who is refused gets the outcome as the code of an error. */
export function completing(
  call: (name: string, input: object) => Promise<Record<string, unknown>>,
) {
  return async (lease: object, more: object = {}): Promise<Record<string, unknown>> => {
    const { results } = await call("runs.complete", { items: [{ ...lease, ...more }] });
    const [result = {}] = results as Record<string, unknown>[];
    const { outcome: code, ...data } = result;
    if (code === "completed") return result;
    throw Object.assign(new Error(`The run was not completed: ${code}.`), { code, data });
  };
}

export function useDatabase(): TestDatabase {
  const name = `tidebase_test_${randomUUID().replaceAll("-", "")}`;
  const url = Object.assign(new URL(inject("adminUrl")), { pathname: name }).href;
  const pool = new pg.Pool({ connectionString: url });
  pool.on("error", () => {}); // the forced drop below may meet a connection that is still closing
  const core = openCore({ databaseUrl: url, checkAnswers: true, sweeps: false });
  beforeAll(() => administer(`create database ${name} template ${inject("template")}`));
  afterAll(async () => {
    await Promise.all([core.close(), pool.end()]);
    await administer(`drop database ${name} with (force)`);
  });

  async function call(operationName: string, input: object, actor = local) {
    const operation = operationNamed(operationName);
    return JSON.parse(toJson(await core.execute(operation, input, actor)));
  }
  async function pending(): Promise<string> {
    return String((await call("runs.create", { workflow: "test" }))["runId"]);
  }
  async function begun(): Promise<{ runId: string; epoch: number; grantId: string }> {
    const [runId, grantId] = [await pending(), newGrant()];
    const { epoch } = await call("runs.begin", { runId, grantId });
    return { runId, epoch: Number(epoch), grantId };
  }
  async function advance(interval: string): Promise<void> {
    await pool.query("update tidebase.clock set shift = shift + $1::interval", [interval]);
  }
  async function cancel(runId: string): Promise<void> {
    const text = `update tidebase.runs set status = 'cancelled', lease_expires_at = null, failure_class = null, waits = null,
      wake_at = null
      where run_id = $1`;
    await pool.query(text, [runId.slice(4)]);
  }
  async function gate(lease: object, more: object = {}) {
    const question = { name: "send", prompt: "Send the report?", ...more };
    const opened = await call("gates.open", { ...lease, ...question });
    return opened["gate"] as { gateId: string; digest: string; status: string };
  }
  async function channel(label: string) {
    const webhookId = randomUUID();
    const unique = `${label}-${webhookId}`;
    const text = `insert into tidebase.webhooks
      (webhook_id, name, url, secret, events, every_run, invokes, decides, created_at)
      values ($1, $2, 'https://channel.example/', 'whsec_AAAA', '{}', false, false, true, tidebase.now())`;
    await pool.query(text, [webhookId, unique]);
    return { name: unique, webhookId: `webhook_${webhookId}` };
  }
  async function hold(runId: string): Promise<() => Promise<void>> {
    const client = await pool.connect();
    await client.query("begin");
    await client.query("select from tidebase.runs where run_id = $1 for update", [runId.slice(4)]);
    return async () => {
      await client.query("commit");
      client.release();
    };
  }
  async function blocked(n: number): Promise<void> {
    const text =
      "select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
    await expect.poll(async () => (await pool.query(text)).rowCount, { interval: 2 }).toBe(n);
  }
  const complete = completing(call);
  const own = { pending, begun, complete, cancel, gate, channel };
  return { url, pool, core, call, advance, ...own, hold, blocked };
}

/** Waits until the connection waits for a lock: the second runner of a race is at its mark. */
export async function untilBlocked(pool: pg.Pool, statementName: string): Promise<void> {
  const text =
    "select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock' and query like $1";
  await expect
    .poll(async () => (await pool.query(text, [`%/* ${statementName} */%`])).rowCount, {
      interval: 5,
    })
    .toBe(1);
}

async function administer(text: string): Promise<void> {
  const client = new pg.Client(inject("adminUrl"));
  await client.connect();
  await client.query(text);
  await client.end();
}
