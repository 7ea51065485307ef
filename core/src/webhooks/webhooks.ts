import type { Database } from "../database.ts";
import { startDispatcher } from "../deliveries/dispatcher.ts";
import { checkUrl, type Refusal, type Resolve, readAllowList, resolveName } from "./address.ts";

/** Where messages may go, and what they say of this server. */
export interface WebhookOptions {
  /** `host`, `host:port` and `address/bits` besides the public internet; exactly these. */
  readonly allow?: readonly string[] | undefined;
  /** The base of the links in messages. */
  readonly publicUrl?: string | undefined;
  /**
   * Whether this process sends; every process that sweeps does by default. One that may not know the
   * server's settings (`allow`, `publicUrl`) should not.
   */
  readonly sends?: boolean | undefined;
  /** How names become addresses; as the operating system does it by default. */
  readonly resolve?: Resolve | undefined;
}

/** What a process does for webhooks. */
export interface Webhooks {
  /** Why no message may go to this URL, or undefined. */
  checkUrl(url: string): Promise<Refusal | undefined>;
  /** Something may be due. */
  nudge(): void;
  stop(): Promise<void>;
}

/** Starts to send unless `sends` is false. Throws AllowListError. */
export function openWebhooks(
  db: Database,
  options: WebhookOptions & {
    readonly sends: boolean;
    touched(runIds: readonly string[]): void;
  },
): Webhooks {
  const allow = readAllowList(options.allow ?? []);
  const resolve = options.resolve ?? resolveName;
  const dispatcher = options.sends
    ? startDispatcher(db, { ...options, allow, resolve })
    : undefined;
  return {
    checkUrl: (url) => checkUrl(url, allow, resolve),
    nudge: () => dispatcher?.nudge(),
    stop: async () => dispatcher?.stop(),
  };
}
