import {
  type AnyOperation,
  type Backend,
  type Core,
  type CoreOptions,
  type DatabaseStore,
  describeStore,
  type EmbeddedStore,
  type Environment,
  type FoundStore,
  findStore,
  openCore,
  openStore,
  readStoreSettings,
  remote,
  StoreError,
  TidebaseError,
} from "@tidebase/core";
import { shareCore } from "./api/shared-core.ts";
import { readOnlyReason } from "./read-only.ts";
import { checkSettings } from "./settings.ts";

/** Which store the tools work on, how it was found and what may be done to it. */
export interface StoreInfo {
  readonly kind: FoundStore["kind"];
  readonly foundBy: FoundStore["foundBy"];
  /** One line for people; holds no password. */
  readonly description: string;
  readonly access: "read_write" | "read_only";
  /** Why it is so, and how to change it. */
  readonly accessReason: string;
  /** A database found earlier could not be asked and was passed over. */
  readonly passedOver: boolean;
  /** Where the gates' pages are, without a slash at the end; undefined when nobody said so. */
  readonly pageBase: string | undefined;
}

/** A store that is open. */
export interface Connection {
  readonly backend: Backend;
  readonly store: StoreInfo;
  /**
   * Opens a core to serve this store's API with; the tools' calls go to it from then on. Only of the
   * embedded store, when it may be written.
   */
  readonly serve?: (options: Pick<CoreOptions, "limits" | "webhooks">) => Core;
  close(): Promise<void>;
}

/** A connection that is made when somebody first needs it. */
export interface LazyConnection {
  /** The one connection; concurrent callers share its opening. After a failure the next call tries anew. */
  get(): Promise<Connection>;
  close(): Promise<void>;
}

/** Nothing is opened before the first `get`; `isOpening` while that is under way. */
export function connectLazily(
  open: () => Promise<Connection>,
): LazyConnection & { isOpening(): boolean } {
  let opening: Promise<Connection> | undefined;
  let isOpening = false;

  async function get(): Promise<Connection> {
    if (opening === undefined) {
      isOpening = true;
      opening = open().finally(() => {
        isOpening = false;
      });
    }
    const mine = opening;
    try {
      return await mine;
    } catch (error) {
      if (opening === mine) opening = undefined;
      throw error;
    }
  }

  async function close(): Promise<void> {
    const connection = await opening?.catch(() => undefined);
    opening = undefined;
    await connection?.close();
  }
  return { get, isOpening: () => isOpening, close };
}

/** Where to look for the store, and what may be done to it. */
export interface OpenOptions {
  readonly env: Environment;
  readonly cwd: string;
  /** `--read-only`: nothing is written, whatever else is said. */
  readonly readOnly: boolean;
  /** `--allow-writes`: a database on another machine may be written too. */
  readonly allowWrites: boolean;
  /** `--toolsets` with `start`: new runs may be queued. */
  readonly enqueues?: boolean;
}

const POOL_MAX = 3;

/** Finds and opens the store by the product's one rule. Throws StoreFailure, which says what was tried. */
export async function openConnection(options: OpenOptions): Promise<Connection> {
  const { env, cwd } = options;
  let tried: string | undefined;
  try {
    checkSettings(env);
    const found = await findStore(env, { remote: true, cwd });
    tried = describeStore(found);
    const store = describe(found, tried, options);
    if (found.kind !== "remote") return await openLocal(found, store, options);
    const backend = guard(remote(found), store.access === "read_only");
    return { backend, store, close: () => backend.close() };
  } catch (error) {
    if (error instanceof StoreError) throw new StoreFailure(tried, { cause: error });
    throw error;
  }
}

async function openLocal(
  found: DatabaseStore | EmbeddedStore,
  store: StoreInfo,
  { env, enqueues = false }: OpenOptions,
): Promise<Connection> {
  const readOnly = store.access === "read_only";
  const { gateFloor, retentionDays } = readStoreSettings(env);
  // The embedded store is Tidebase's own: bringing it up to date changes nobody's data.
  const autoMigrate = !readOnly || found.kind === "embedded";
  const opened = await openStore(found, { autoMigrate });
  const { databaseUrl, revive, schema, leave } = opened;
  const common = { databaseUrl, revive, schema, readOnly, retentionDays };
  const limits = { gateFloor };
  const webhooks = { sends: false }; // the server sends: it knows where messages may go
  const core = openCore({ ...common, limits, webhooks, poolMax: POOL_MAX });
  const scopes = ["read", "operate", ...(enqueues ? (["enqueue"] as const) : [])] as const;
  const { backend, exchange } = shareCore(core, { name: "local", scopes, via: "stdio" });

  function serve(options: Pick<CoreOptions, "limits" | "webhooks">): Core {
    const next = openCore({ ...common, ...options });
    exchange(next);
    return next;
  }

  return {
    backend: guard(backend, readOnly),
    store: { ...store, description: opened.description },
    ...(found.kind === "embedded" && !readOnly && { serve }),
    async close() {
      await backend.close();
      await leave();
    },
  };
}

/** The store could not be found or opened; `code`, `message` and `fix` are those of the store error. */
export class StoreFailure extends Error {
  override readonly name = "StoreFailure";
  readonly code: string;
  readonly fix: string;
  /** The store that was tried, without a password; undefined when none was found. */
  readonly tried: string | undefined;

  constructor(
    tried: string | undefined,
    { cause }: { cause: Error & { code: string; fix: string } },
  ) {
    super(cause.message, { cause });
    this.code = cause.code;
    this.fix = cause.fix;
    this.tried = tried;
  }
}

function describe(
  found: FoundStore,
  description: string,
  { env, readOnly, allowWrites }: OpenOptions,
): StoreInfo {
  const { kind, foundBy } = found;
  const passedOver = found.kind === "embedded" && found.note !== undefined;
  const pageBase = found.kind === "remote" ? baseOf(found.url) : readStoreSettings(env).publicUrl;
  const rest = { kind, foundBy, description, passedOver, pageBase };
  const forbidden = readOnlyReason(env, readOnly);
  if (forbidden !== undefined) return { ...rest, access: "read_only", accessReason: forbidden };
  if (found.kind === "remote")
    return { ...rest, access: "read_write", accessReason: "The scopes of the API key decide." };
  if (found.local)
    return { ...rest, access: "read_write", accessReason: "The database is on this machine." };
  if (allowWrites)
    return { ...rest, access: "read_write", accessReason: "Started with --allow-writes." };
  return {
    ...rest,
    access: "read_only",
    accessReason:
      "The database is on another machine. Start tidebase-mcp with --allow-writes to change that.",
  };
}

/** The address of a server without user, password and parameters: its gates' pages are under it. */
function baseOf(url: string): string {
  const { protocol, host, pathname } = new URL(url);
  return `${protocol}//${host}${pathname.replace(/\/+$/, "")}`;
}

/** The same refusal for every kind of store, before anything is sent. */
function guard(backend: Backend, readOnly: boolean): Backend {
  if (!readOnly) return backend;
  return {
    async execute<Op extends AnyOperation>(operation: Op, input: unknown) {
      if (operation.effect !== "read") throw new TidebaseError("store_read_only");
      return await backend.execute(operation, input);
    },
    close: () => backend.close(),
  };
}
