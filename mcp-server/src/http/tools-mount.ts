import { type Actor, type Core, localBackend } from "@tidebase/core";
import type { Mount } from "@tidebase/server";
import { createServer, type ServerOptions } from "../adapter-v1.ts";
import type { LazyConnection, StoreInfo } from "../connection.ts";
import { type McpMountOptions, mountMcp } from "./mount.ts";

/** Which tools there are, and on what they work. */
interface ToolsMountOptions
  extends Omit<McpMountOptions, "serve">,
    Pick<ServerOptions, "tools" | "version" | "onError"> {
  /** What the tools execute operations with; it stays open. */
  readonly core: Core;
  readonly store: StoreInfo;
}

/** The tools at `/mcp`: every session acts in the name of the caller that began it. */
export function mountTools(options: ToolsMountOptions): Mount {
  const { core, store, tools, version, onError, ...limits } = options;
  return mountMcp({
    ...limits,
    serve: (actor) =>
      createServer({
        ...{ tools, version, connection: connectionOf(core, actor, store) },
        ...(onError !== undefined && { onError }),
      }),
  });
}

/** The store as this caller may use it; it outlives every session. */
function connectionOf(core: Core, actor: Actor, store: StoreInfo): LazyConnection {
  const connection = { backend: localBackend(core, agentOf(actor)), store, close: async () => {} };
  return { get: async () => connection, close: async () => {} };
}

/**
 * Whoever speaks MCP is an agent, whatever its key may do: it acts with the key's scopes, but is no human
 * that the key would stand for. A gate's decision that it brings needs its proof.
 */
function agentOf({ name, scopes, via, principal }: Actor): Actor {
  return { name, scopes, via: "mcp", principal: via.startsWith("key_") ? via : principal };
}
