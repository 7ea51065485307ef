import { type Core, type Environment, openCore, StoreError } from "@tidebase/core";
import {
  type Config,
  ConfigError,
  configOf,
  ListenError,
  type Logger,
  openLog,
  openServed,
  publicUrlOf,
  type RunningServer,
  type Served,
  startServer,
  stopOnSignal,
} from "@tidebase/server";
import type { ToolSettings } from "../arguments.ts";
import type { StoreInfo } from "../connection.ts";
import type { Program } from "../program.ts";
import { readOnlyReason } from "../read-only.ts";
import { toToolError } from "../tool-error.ts";
import { toolsFor } from "../tools/index.ts";
import { readVersion } from "../version.ts";
import { mountTools } from "./tools-mount.ts";

/** What `tidebase-mcp http` was told. */
interface HttpSettings extends ToolSettings {
  /** TIDEBASE_PORT, PORT or 7373 when undefined; 0 takes a free one. */
  readonly port?: number | undefined;
  /** TIDEBASE_HOST or 127.0.0.1 when undefined. */
  readonly host?: string | undefined;
}

const POOL_MAX = 5;

/**
 * Serves the HTTP API and, at `/mcp`, the tools over Streamable HTTP, until a signal ends the process.
 * Resolves once it listens. What keeps it from starting is said on standard error, and ends the process.
 */
export async function serveHttp(program: Program, settings: HttpSettings): Promise<void> {
  const fail = (error: unknown): never => {
    program.log(`tidebase-mcp: ${reasonOf(error)}`);
    process.exit(1);
  };
  try {
    await serve(program, settings, fail);
  } catch (error) {
    fail(error);
  }
}

async function serve(
  { env, cwd, log: say }: Program,
  settings: HttpSettings,
  fail: (error: unknown) => never,
): Promise<void> {
  const { port, host, readOnly } = settings;
  const flags = { ...(port !== undefined && { port }), ...(host !== undefined && { host }) };
  const config = configOf({ ...flags, gateCodes: false }, env);
  const log = openLog(config.logLevel);
  const served = await openServed(config, { env, cwd, readOnly });
  const forTools = openForTools(served, settings);
  const leave = async (): Promise<void> => {
    if (forTools !== served.core) await forTools.close();
    await served.leave();
  };
  try {
    const server = await listen(served, { config, settings, env, forTools, log });
    stopOnSignal(async () => {
      await server.close();
      await leave();
    }, fail);
    const open = (await served.core.hasKeys())
      ? ""
      : "; no API key yet: open to this machine alone";
    say(
      `Tidebase listens on ${server.url}, MCP at ${server.url}/mcp (store: ${served.store.description}${open})`,
    );
  } catch (error) {
    await leave();
    throw error;
  }
}

/** Another machine's database is only read by agents unless that was allowed; the API serves it as it is. */
function openForTools({ core, found, store }: Served, settings: HttpSettings): Core {
  if (settings.readOnly || settings.allowWrites || found.local) return core;
  const { databaseUrl, revive, schema } = store;
  return openCore({ databaseUrl, revive, schema, readOnly: true, poolMax: POOL_MAX });
}

/** What serving takes besides the store. */
interface Listening {
  readonly config: Config;
  readonly settings: HttpSettings;
  readonly env: Environment;
  readonly forTools: Core;
  readonly log: Logger;
}

function listen(served: Served, listening: Listening): Promise<RunningServer> {
  const { core, store } = served;
  const { config, settings, forTools, log } = listening;
  const mcp = mountTools({
    core: forTools,
    store: storeInfo(served, listening, forTools !== core),
    tools: toolsFor(settings),
    version: readVersion(),
    onError: (err) =>
      log[toToolError(err).code === "internal" ? "error" : "info"]({ err }, "a tool failed"),
  });
  return startServer({ ...config, core, store: store.description, log, mounts: [mcp] });
}

/** To an agent this is a remote server: it holds a key at most, never the database's URL. */
function storeInfo(
  { found, store }: Served,
  { config, settings, env }: Listening,
  guarded: boolean,
): StoreInfo {
  const forbidden =
    readOnlyReason(env, settings.readOnly) ?? (guarded ? ON_ANOTHER_MACHINE : undefined);
  return {
    kind: "remote",
    foundBy: store.foundBy,
    description: store.description,
    access: forbidden === undefined ? "read_write" : "read_only",
    accessReason: forbidden ?? "The scopes of the API key decide.",
    passedOver: found.kind === "embedded" && found.note !== undefined,
    pageBase: publicUrlOf(config),
  };
}

const ON_ANOTHER_MACHINE =
  "The database is on another machine. Start tidebase-mcp http with --allow-writes to change that.";

function reasonOf(error: unknown): string {
  if (error instanceof StoreError || error instanceof ListenError)
    return `${error.message} ${error.fix}`;
  if (error instanceof ConfigError) return error.message;
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
