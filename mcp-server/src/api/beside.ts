import { type Environment, findStore } from "@tidebase/core";
import type { Connection, StoreInfo } from "../connection.ts";
import { type Serving, serveWhenFree } from "./serving.ts";

/** The HTTP API beside the tools. */
export interface Beside {
  /** Opens the store, and begins to serve its API when it is the embedded one and may be written. */
  open(): Promise<Connection>;
  close(): Promise<void>;
}

/** The tools' store, whose API is served beside them. */
export function serveBeside(options: {
  readonly env: Environment;
  readonly open: () => Promise<Connection>;
  readonly log: (line: string) => void;
}): Beside {
  const { env, log } = options;
  let serving: Serving | undefined;

  async function open(): Promise<Connection> {
    const opened = await options.open();
    const { serve, store } = opened;
    if (serve === undefined) return opened;
    const { description } = store;
    serving = serveWhenFree({ env, description, openCore: serve, log });
    return { ...opened, store: withApi(store, serving) };
  }
  return { open, close: async () => serving?.close() };
}

/** What is told of the store follows the API as it comes and goes. */
function withApi(store: StoreInfo, serving: Serving): StoreInfo {
  return {
    ...store,
    get accessReason() {
      return [store.accessReason, serving.note()].filter((text) => text !== undefined).join(" ");
    },
    get pageBase() {
      return store.pageBase ?? serving.url();
    },
  };
}

/** Whether nobody configured a store, so that the embedded one is used. Opens nothing. */
export async function isEmbedded(env: Environment, cwd: string): Promise<boolean> {
  const found = await findStore(env, { remote: true, cwd }).catch(() => undefined); // a tool's call tells
  return found?.kind === "embedded";
}
