import { type Core, LOCAL, openCore, operations, SCOPES, toJson } from "@tidebase/core";
import pg from "pg";

/** Calls an operation by its name. */
export type Caller = (name: string, input: object) => Promise<Record<string, unknown>>;

/** What prepares due rows: calls operations by their names, and the store's own tables where time has to pass. */
export interface Bench {
  readonly call: Caller;
  sql(text: string, values?: readonly unknown[]): Promise<void>;
  readonly receiverUrl: string;
}

/** Due rows of one sweep, and how to see that it has settled them. */
export interface Chore {
  /** The sweep, as core names it. */
  readonly id: string;
  /** The promises that a crash in it puts to the test, see `PointLoad`. */
  readonly promises: readonly string[];
  prepare(bench: Bench): Promise<void>;
  /** Then so much time passes. */
  readonly passes: string;
  /** A statement whose rows, `what`, are what the sweep has not settled. */
  readonly unrest: string;
  /** A process that ends at once leaves some of them, for they are due later; it has to settle others. */
  readonly isLater?: true;
}

/** Prepares the due rows in this store, which is nobody's yet. */
export async function prepareChore(
  chore: Chore,
  databaseUrl: string,
  receiverUrl: string,
): Promise<void> {
  const core = openCore({ databaseUrl, sweeps: false, webhooks: { allow: ["127.0.0.1"] } });
  const client = new pg.Client(databaseUrl);
  await client.connect();
  try {
    const sql = async (text: string, values: readonly unknown[] = []) => {
      await client.query(text, [...values]);
    };
    await chore.prepare({ call: callerOf(core), sql, receiverUrl });
    await sql("update tidebase.clock set shift = shift + $1::interval", [chore.passes]);
  } finally {
    await client.end();
    await core.close();
  }
}

/** Calls operations past all servers, as somebody who may do everything. */
export function callerOf(core: Core): Caller {
  const actor = { ...LOCAL, scopes: SCOPES };
  return async (name, input) => {
    const operation = operations.find((one) => one.name === name);
    if (operation === undefined) throw new Error(`There is no operation ${name}.`);
    return JSON.parse(toJson(await core.execute(operation, input, actor)));
  };
}
