import { setTimeout as delay } from "node:timers/promises";
import type { Core, CoreOptions, Environment } from "@tidebase/core";
import type { RunningServer } from "@tidebase/server";
import { type HolderWatch, noteOn, watchHolder } from "./holder.ts";
import { API_HOST, isFree, isTaken } from "./port.ts";

/** What is to be served, and how. */
export interface ServingOptions {
  readonly env: Environment;
  /** The store, as its other servers describe it. */
  readonly description: string;
  /** The core to serve; asked for once the port is ours. */
  openCore(options: Pick<CoreOptions, "limits" | "webhooks">): Core;
  /** One line for the human. */
  log(line: string): void;
}

/** The HTTP API of a store, served by this process or by another. */
export interface Serving {
  /** Where the API answers; undefined while it does not, or nobody knows. */
  url(): string | undefined;
  /** What is to be known of it, in a sentence or two; undefined while nothing is. */
  note(): string | undefined;
  /** Leaves the port to others. What is under way is cut short: who asked asks the next server. */
  close(): Promise<void>;
}

/** When the process that serves is gone, another has to be there within a second. */
const RETRY_MS = 400;
const GRACE_MS = 250;

/**
 * Serves the HTTP API on the loopback as soon as the port is free, so that SDK programs find a server
 * wherever an assistant runs. A setting that makes that impossible is logged, and then nothing is served.
 */
export function serveWhenFree({ env, description, openCore, log }: ServingOptions): Serving {
  const opening = openServer(env, openCore, log, description); // at once: a takeover has no time for it
  let server: RunningServer | undefined;
  let others: HolderWatch | undefined;
  let closing = false;
  let timer: NodeJS.Timeout | undefined;
  let trying = attempt();

  async function attempt(): Promise<void> {
    try {
      const { port, listen } = await opening;
      others ??= watchHolder(port, { description, log });
      if (closing) return;
      if (await isFree(port)) server = await listen();
      else others.look();
    } catch (error) {
      const { message, fix = "" } = error as Error & { fix?: string };
      log(`The HTTP API is not served. ${message} ${fix}`.trim());
      return;
    }
    if (server === undefined && !closing) timer = setTimeout(again, RETRY_MS).unref();
  }

  function again(): void {
    trying = attempt();
  }

  function url(): string | undefined {
    if (server !== undefined || others === undefined) return server?.url;
    return others.holder() === "this_store" ? `http://${API_HOST}:${others.port}` : undefined;
  }

  return {
    url,
    note() {
      const known = url();
      if (known !== undefined) return `SDK programs reach it at ${known}.`;
      return others === undefined ? undefined : noteOn(others.holder(), others.port);
    },
    async close() {
      closing = true;
      clearTimeout(timer);
      await Promise.race([trying, delay(GRACE_MS)]);
      await Promise.race([server?.close(), delay(GRACE_MS)]);
    },
  };
}

/** Everything but the listening. Throws ConfigError and StoreError for settings. */
async function openServer(
  env: Environment,
  openCore: ServingOptions["openCore"],
  log: ServingOptions["log"],
  store: string,
): Promise<{ readonly port: number; listen(): Promise<RunningServer | undefined> }> {
  const { configOf, coreOptionsOf, ListenError, startServer } = await import("@tidebase/server");
  const config = configOf({ host: API_HOST, gateCodes: false }, { ...env, PORT: undefined });
  const onInternal = (requestId: string, error: unknown): void =>
    log(`The HTTP API failed to answer ${requestId}. ${(error as Error).message}`);
  let core: Core | undefined;

  /** Undefined when somebody was faster. */
  async function listen(): Promise<RunningServer | undefined> {
    core ??= openCore(coreOptionsOf(config));
    try {
      const server = await startServer({ ...config, core, store, onInternal });
      log(`The HTTP API is served on ${server.url} (store: ${store}).`);
      return server;
    } catch (error) {
      if (error instanceof ListenError && isTaken(error.cause)) return undefined;
      throw error;
    }
  }
  return { port: config.port, listen };
}
