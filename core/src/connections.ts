import pg from "pg";
import { type Column, column, types } from "./columns.ts";
import { TidebaseError } from "./errors.ts";
import { KEEP_ALIVE } from "./keep-alive.ts";
import { DEFAULT_SCHEMA, inSchema } from "./schema-name.ts";
import type { Statement } from "./statement.ts";
import { type Address, openAddress } from "./store/address.ts";

/** Sends a statement; its rows. */
type Query = <Row>(statement: Statement<never, Row>, values: unknown[]) => Promise<Row[]>;

/** How statements reach Postgres. */
export interface Connections {
  /** Each in a transaction of its own. */
  query: Query;
  /**
   * Several in one transaction, which locks these runs (bare uuids) first: the snapshot of each statement
   * is then as new as their rows. What throws is rolled back.
   */
  locked<T>(runIds: readonly string[], work: (query: Query) => Promise<T>): Promise<T>;
  close(): Promise<void>;
}

/** Which database to connect to, and how. */
export interface ConnectionOptions {
  readonly databaseUrl: string;
  /** Of that database, when others follow it too; made here when not given. */
  readonly address?: Address;
  /** Brings a database back that is gone; returns its URL, which may be another. */
  readonly revive?: (() => Promise<string>) | undefined;
  /** The store's schema; `tidebase` when not said. */
  readonly schema?: string;
  /** Connections at most. */
  readonly poolMax?: number;
  /** Refuses writes on a direct connection too, not only in the operations; behind a pooler those alone do. */
  readonly readOnly?: boolean;
  /** How long Postgres may take for one answer, in milliseconds; a minute when not said. */
  readonly answerMs?: number;
}

/** How long a call may wait for a free connection, in milliseconds. */
const CONNECT_TIMEOUT_MS = 10_000;
/** A network that swallows everything ends no connection, and would keep it lent for ever. */
const ANSWER_MS = 60_000;
/** Postgres itself gives up after this part of it: a backend that waits for a lock does not hear that nobody waits for it. */
const SOONER = 0.9;

/** A process that stands still in between does not hold the runs for long. */
const BEGIN =
  "begin isolation level read committed; set local idle_in_transaction_session_timeout = '10s'";
const LOCK_RUNS =
  "select from tidebase.runs where run_id = any ($1::uuid[]) order by run_id for no key update";

/** Connects lazily. A connection that died is replaced; the call on it tells. */
export function openConnections(options: ConnectionOptions): Connections {
  const { schema = DEFAULT_SCHEMA, poolMax = 10, readOnly = false } = options;
  const { answerMs = ANSWER_MS } = options;
  const sessions = new WeakMap<pg.ClientBase, Session>();
  const { connect, close } = openPool(options.address ?? openAddress(options), {
    application_name: "tidebase",
    max: poolMax,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    query_timeout: answerMs,
    ...KEEP_ALIVE,
    types,
    onConnect: async (client) => {
      client.on("error", () => {}); // it died while lent out or idle: the pool replaces it
      sessions.set(client, await openSession(client, { readOnly, answerMs }));
    },
  });
  const columns = new Map<string, Column[]>();
  const texts = new Map<string, string>();

  function textOf({ name, text }: Statement<never, unknown>): string {
    const known = texts.get(name) ?? inSchema(text, schema);
    texts.set(name, known);
    return known;
  }

  async function send<Row>(
    client: pg.ClientBase,
    statement: Statement<never, Row>,
    values: unknown[],
  ): Promise<Row[]> {
    const text = textOf(statement);
    const config: pg.QueryArrayConfig = { text, values, rowMode: "array" };
    if (sessions.get(client)?.direct === true) config.name = statement.name;
    const { fields, rows } = await client.query<unknown[]>(config);
    const read = columns.get(statement.name) ?? fields.map(column);
    columns.set(statement.name, read);
    return rows.map((row) => toObject<Row>(read, row));
  }

  async function lent<T>(work: (client: pg.PoolClient) => Promise<T>): Promise<T> {
    const client = await connect();
    let broken: Error | undefined;
    try {
      return await work(client);
    } catch (error) {
      if (isBroken(error)) broken = error;
      throw error;
    } finally {
      client.release(broken);
    }
  }

  const query: Query = (statement, values) =>
    lent((client) => {
      const ask = () => send(client, statement, values);
      return sessions.get(client)?.readsCommitted === true ? ask() : transaction(client, ask);
    });

  const locked: Connections["locked"] = (runIds, work) =>
    lent((client) =>
      transaction(client, async () => {
        await client.query(inSchema(LOCK_RUNS, schema), [runIds]);
        return await work((statement, values) => send(client, statement, values));
      }),
    );
  return { query, locked, close };
}

async function transaction<T>(client: pg.ClientBase, work: () => Promise<T>): Promise<T> {
  await client.query(BEGIN);
  try {
    const done = await work();
    await client.query("commit");
    return done;
  } catch (error) {
    if (!isBroken(error)) await client.query("rollback").catch(() => {});
    throw error; // a connection that is gone, or is given up, has forgotten it all
  }
}

/** What neither Postgres nor we say comes from the connection itself. */
function isBroken(error: unknown): error is Error {
  return !(error instanceof TidebaseError) && sqlState(error) === undefined;
}

/** A pool at the present address; it is replaced when the database came back elsewhere. */
function openPool(
  address: Address,
  config: pg.PoolConfig,
): { connect(): Promise<pg.PoolClient>; close(): Promise<void> } {
  let url = address.url();
  let pool = newPool(url);
  let closed = false;
  const replaced: Promise<void>[] = [];

  function newPool(connectionString: string): pg.Pool {
    return new pg.Pool({ ...config, connectionString }).on("error", () => {});
  }

  function present(): pg.Pool {
    if (closed || url === address.url()) return pool;
    replaced.push(pool.end());
    url = address.url();
    pool = newPool(url);
    return pool;
  }

  /** No connection, no effect: the call may be sent again. */
  async function connect(): Promise<pg.PoolClient> {
    const since = performance.now();
    const used = present();
    try {
      return await used.connect();
    } catch (cause) {
      if (used === present() && !(await revived(cause, since))) throw unavailable(cause);
    }
    return await present().connect().catch(unavailably);
  }

  async function revived(cause: unknown, since: number): Promise<boolean> {
    if (closed || !mayBeGone(cause)) return false;
    return await address.revive(since).catch(unavailably);
  }

  async function close(): Promise<void> {
    closed = true;
    await Promise.all([pool.end(), ...replaced]);
  }
  return { connect, close };
}

/**
 * Whether there may be no database any more. Where it was, somebody else may listen now and answer
 * anything; but a crowded server, or a pool whose connections are all lent out, is no reason.
 */
function mayBeGone(cause: unknown): boolean {
  if (sqlState(cause) === "53300") return false;
  return !(cause instanceof Error && cause.message.startsWith("timeout exceeded"));
}

function unavailable(cause: unknown): TidebaseError {
  return new TidebaseError("store_unavailable", { cause });
}

function unavailably(cause: unknown): never {
  throw unavailable(cause);
}

/** The SQLSTATE, or undefined when the connection failed and nobody knows what took effect. */
export function sqlState(error: unknown): string | undefined {
  const code: unknown = error instanceof pg.DatabaseError ? error.code : undefined;
  return typeof code === "string" ? code : undefined;
}

/** What a connection can be used for. */
interface Session {
  /** No pooler in between: statements may be prepared by name, and settings hold. */
  readonly direct: boolean;
  /** A statement by itself reads what was committed before it, which a claim relies on. */
  readonly readsCommitted: boolean;
}

/**
 * A pooler shows another process id than that of Postgres. Without one, statements are prepared by name, and planned
 * once: left to itself, the planner may plan every call anew, which doubles the cost of a step. A plan outlives the
 * empty table it was made for, so it may not scan one.
 */
async function openSession(
  client: pg.ClientBase,
  { readOnly, answerMs }: { readOnly: boolean; answerMs: number },
): Promise<Session> {
  const set = (name: string, value: string): string =>
    `case when direct then set_config('${name}', ${value}, false) end`;
  const text = `select direct, direct or current_setting('default_transaction_isolation') = 'read committed' as reads_committed,
      ${set("plan_cache_mode", "'force_generic_plan'")}, ${set("enable_seqscan", "'off'")}, ${set("DateStyle", "'ISO, MDY'")},
      ${set("default_transaction_isolation", "'read committed'")}, ${set("default_transaction_read_only", "$2")},
      case when direct and current_setting('statement_timeout') = '0' then set_config('statement_timeout', $3, false) end
    from (select pg_backend_pid() = $1::int as direct) here`;
  const processID: unknown = Reflect.get(client, "processID");
  const { rows } = await client.query(text, [
    processID,
    readOnly ? "on" : "off",
    String(Math.ceil(answerMs * SOONER)),
  ]);
  return { direct: rows[0]?.direct, readsCommitted: rows[0]?.reads_committed };
}

function toObject<Row>(columns: readonly Column[], values: readonly unknown[]): Row {
  return Object.fromEntries(
    columns.map(({ name, read }, index) => [name, read(values[index])]),
  ) as Row;
}
