import {
  type Core,
  type CoreOptions,
  type Environment,
  type FoundStore,
  findStore,
  type OpenStore,
  openCore,
  openStore,
} from "@tidebase/core";
import type { Config } from "./config.ts";

/** The store that a server serves. */
export interface Served {
  readonly core: Core;
  readonly found: Exclude<FoundStore, { kind: "remote" }>;
  readonly store: OpenStore;
  /** Closes core and then lets the store go. */
  leave(): Promise<void>;
}

/** Where to look for the store, and whether it may be written. */
interface Where {
  readonly env: Environment;
  readonly cwd: string;
  /** Reads alone: such a server migrates nobody's database and settles nothing. */
  readonly readOnly?: boolean;
}

/** Finds and opens the store by the product's one rule, as a server does. Throws StoreError. */
export async function openServed(
  config: Config,
  { env, cwd, readOnly = false }: Where,
): Promise<Served> {
  const found = await findStore(env, { remote: false, cwd });
  if (found.kind === "remote") throw new Error("A server is no client of another server.");
  // The embedded store is Tidebase's own: bringing it up to date changes nobody's data.
  const mayMigrate = !readOnly || found.kind === "embedded";
  const store = await openStore(found, { autoMigrate: mayMigrate });
  const core = openCore({
    databaseUrl: store.databaseUrl,
    revive: store.revive,
    schema: store.schema,
    readOnly,
    ...coreOptionsOf(config),
  });
  async function leave(): Promise<void> {
    await core.close();
    await store.leave();
  }
  return { core, found, store, leave };
}

/** What a server's settings say to the core that it serves. */
export function coreOptionsOf(
  config: Config,
): Pick<CoreOptions, "limits" | "webhooks" | "retentionDays"> {
  const { leaseMs, gateFloor, webhookAllow, retentionDays } = config;
  return {
    limits: { ...(leaseMs !== undefined && { leaseMs }), gateFloor },
    webhooks: { allow: webhookAllow, publicUrl: publicUrlOf(config) },
    retentionDays,
  };
}

/** Where humans reach the server; undefined while nobody knows its port. */
export function publicUrlOf({ publicUrl, host, port }: Config): string | undefined {
  return publicUrl ?? (port === 0 ? undefined : urlOf(host, port));
}

/** Where a browser of this machine finds the server, be it that it listens on every address. */
export function urlOf(host: string, port: number): string {
  const bare = host.replace(/[[\]]/g, "");
  const own = bare === "0.0.0.0" ? "127.0.0.1" : bare === "::" ? "::1" : bare;
  return `http://${own.includes(":") ? `[${own}]` : own}:${port}`;
}
