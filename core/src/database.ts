import { type ConnectionOptions, openConnections, sqlState } from "./connections.ts";
import { TidebaseError } from "./errors.ts";
import { gather } from "./gather.ts";
import { type Batch, bind, bindItems, type Statement } from "./statement.ts";
import { runsTouched } from "./touched.ts";

/** Asks one statement at a time. */
export interface Asking {
  /** The only row; no row or several are a bug in the statement. */
  one<Input extends object, Row>(
    statement: Statement<Input, Row>,
    input: Input,
  ): Promise<Settled<Row>>;

  /** The only row, or undefined. */
  maybe<Input extends object, Row>(
    statement: Statement<Input, Row>,
    input: Input,
  ): Promise<Settled<Row> | undefined>;

  /** Every row, in the statement's order; the statement bounds them. */
  many<Input extends object, Row>(
    statement: Statement<Input, Row>,
    input: Input,
  ): Promise<Settled<Row>[]>;
}

/**
 * What operations hold instead of a pool. Every call but `locked` is one round trip and one commit, which batches of a
 * `shared` statement share with those of other callers.
 */
export interface Database extends Asking {
  /**
   * For what is rare and needs several looks: one transaction that locks the run first, so that every
   * statement in it sees all that was committed before. What throws is rolled back.
   */
  locked<T>(runId: string, work: (tx: Asking) => Promise<T>): Promise<T>;

  /**
   * A row for each item, in order. An item whose own data Postgres refuses is `input_refused`, alone.
   */
  batch<Item extends object, Row>(
    statement: Batch<Item, Row>,
    items: readonly Item[],
  ): Promise<(Settled<Row> | Refused)[]>;

  /** Nothing may be written, not even a cache. */
  readonly readOnly: boolean;
  close(): Promise<void>;
}

/** A row whose outcome is final: `again` never leaves this file. */
type Settled<Row> = Row extends { outcome: infer Outcome }
  ? Omit<Row, "outcome"> & { outcome: Exclude<Outcome, "again"> }
  : Row;

type Refused = { outcome: "input_refused" };

/**
 * `again`: the statement waited for a lock, and its snapshot is older than the row. The next is
 * newer.
 */
const AGAIN_MAX = 100;
/**
 * So often others may come between snapshot and lock; then the runs are locked first, in a transaction,
 * and nobody can any more.
 */
const LOCK_AFTER = 3;
const RETRY_MAX = 3;
/** Serialization failure and deadlock: Postgres rolled the statement back. */
const RETRYABLE = new Set(["40001", "40P01"]);
/** Cardinality violation (an item twice), data exception, constraint: the input is at fault. */
const INPUT_AT_FAULT = /^2[123]/;
/** Connection lost, out of resources, shut down or cancelled: the database's trouble, not the call's. */
const DATABASE_AT_FAULT = /^(?:08|53|57)/;
const READ_ONLY = "25006";
/** A statement that may not wait long for a lock has given up. */
const LOCKED = "55P03";

/** Connects lazily. */
export function openDatabase(options: ConnectionOptions): Database {
  const connections = openConnections(options);
  const { query } = connections;
  /** After some turns with the runs of the items locked first: then nobody comes between. */
  const ask = <Row>(statement: Statement<never, Row>, values: unknown[], runIds: string[]) =>
    runIds.length === 0
      ? query(statement, values)
      : connections.locked(runIds, (send) => send(statement, values));

  const asking = asker((statement, values, input, turn) =>
    retrying(() => ask(statement, values, runsToLock(turn, [input]))),
  );
  /** What Postgres rolls back is all that came before in the transaction: it is repeated as a whole, or not at all. */
  const locked: Database["locked"] = (runId, work) =>
    retrying(() =>
      connections.locked([bare(runId)], (send) =>
        work(asker((statement, values) => send(statement, values))),
      ),
    );
  const settleBatch = async <Item extends object, Row>(
    statement: Batch<Item, Row>,
    items: readonly Item[],
  ): Promise<(Settled<Row> | Refused)[]> => {
    const { lone } = statement;
    if (lone !== undefined && items.length === 1) {
      const one = ([item]: readonly Item[]) => query(lone, bind(lone.parameters, item as Item));
      const answers = await askItems(items, one);
      if (!answers.some(isAgain)) return answers as (Settled<Row> | Refused)[];
    }
    return settleItems(statement.name, items, (some, turn) =>
      ask(statement, bindItems(statement.parameters, some), runsToLock(turn, some)),
    );
  };
  const gathering = new Map<string, (items: readonly never[]) => Promise<unknown[]>>();
  const batch: Database["batch"] = (statement, items) => {
    if (statement.shared !== true) return settleBatch(statement, items);
    const gathered =
      gathering.get(statement.name) ?? gather((some: typeof items) => settleBatch(statement, some));
    gathering.set(statement.name, gathered);
    return gathered(items as readonly never[]) as ReturnType<typeof settleBatch<never, never>>;
  };
  const readOnly = options.readOnly ?? false;
  return { ...asking, locked, batch, readOnly, close: connections.close };
}

function asker(
  send: <Row>(
    statement: Statement<never, Row>,
    values: unknown[],
    input: object,
    turn: number,
  ) => Promise<Row[]>,
): Asking {
  const many: Asking["many"] = (statement, input) => {
    const values = bind(statement.parameters, input);
    return settle(statement.name, (turn) => send(statement, values, input, turn));
  };
  const maybe: Asking["maybe"] = async (statement, input) => {
    const [row, extra] = await many(statement, input);
    if (extra !== undefined) throw new Error(`${statement.name}: more than one row`);
    return row;
  };
  const one: Asking["one"] = async (statement, input) => {
    const row = await maybe(statement, input);
    if (row === undefined) throw new Error(`${statement.name}: no row`);
    return row;
  };
  return { one, maybe, many };
}

/** The runs to lock before the statement of this turn. */
function runsToLock(turn: number, items: readonly object[]): string[] {
  return turn < LOCK_AFTER ? [] : runsTouched({ items }, undefined).map(bare);
}

function bare(runId: string): string {
  return runId.slice("run_".length);
}

async function settle<Row>(
  name: string,
  ask: (turn: number) => Promise<Row[]>,
): Promise<Settled<Row>[]> {
  for (let turn = 0; turn < AGAIN_MAX; turn++) {
    const rows = await ask(turn);
    if (!rows.some(isAgain)) return rows as Settled<Row>[];
  }
  throw new Error(`${name}: still \`again\` after ${AGAIN_MAX} snapshots`);
}

/** Only the items that were told `again` are asked again. */
async function settleItems<Item, Row>(
  name: string,
  items: readonly Item[],
  ask: (some: readonly Item[], turn: number) => Promise<Row[]>,
): Promise<(Settled<Row> | Refused)[]> {
  const answers = await askItems(items, (some) => ask(some, 0));
  for (let turn = 0; answers.some(isAgain); turn++) {
    if (turn === AGAIN_MAX)
      throw new Error(`${name}: still \`again\` after ${AGAIN_MAX} snapshots`);
    const waiting = [...answers.keys()].filter((index) => isAgain(answers[index]));
    const next = await askItems(
      waiting.map((index) => items[index] as Item),
      (some) => ask(some, turn + 1),
    );
    for (const [n, index] of waiting.entries()) answers[index] = next[n] as Row;
  }
  return answers as (Settled<Row> | Refused)[];
}

/** A batch that raises is asked again item by item, so that only the item at fault is refused. */
async function askItems<Item, Row>(
  items: readonly Item[],
  ask: (some: readonly Item[]) => Promise<Row[]>,
): Promise<(Row | Refused)[]> {
  try {
    return await retrying(() => ask(items));
  } catch (error) {
    if (!(error instanceof TidebaseError && error.code === "input_refused")) throw error;
    if (items.length === 1) return [{ outcome: error.code }];
    const answers: (Row | Refused)[] = [];
    for (const item of items) answers.push(...(await askItems([item], ask)));
    return answers;
  }
}

async function retrying<T>(work: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await work();
    } catch (error) {
      if (error instanceof TidebaseError) throw error;
      const state = sqlState(error);
      if (state === undefined || DATABASE_AT_FAULT.test(state))
        throw new TidebaseError("outcome_unknown", { cause: error });
      if (state === LOCKED) throw new TidebaseError("store_busy", { cause: error });
      if (state === READ_ONLY) throw new TidebaseError("store_read_only", { cause: error });
      if (isTaken(error) && attempt < RETRY_MAX) continue;
      if (INPUT_AT_FAULT.test(state)) throw new TidebaseError("input_refused", { cause: error });
      if (!RETRYABLE.has(state)) throw error;
      if (attempt === RETRY_MAX) throw new TidebaseError("store_busy", { cause: error });
    }
  }
}

/**
 * Another run became active under the dedupe key after this statement had looked: the next look sees it.
 */
function isTaken(error: unknown): boolean {
  return (error as { constraint?: string }).constraint === "runs_dedupe";
}

function isAgain(row: unknown): boolean {
  return (row as { outcome?: string } | undefined)?.outcome === "again";
}
