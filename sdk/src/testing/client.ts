import { Tidebase } from "../client.ts";
import type { TidebaseOptions } from "../config.ts";
import { TidebaseError } from "../errors.ts";

/** A client that can be cut off from its server, as by the death of its process. */
export interface CuttableClient {
  readonly tide: Tidebase;
  /** What it holds, or held: the ids of its grants. */
  readonly grantIds: ReadonlySet<string>;
  /** From now on nothing is sent, and no answer arrives; what is under way may still reach the server. */
  cut(): void;
  /** What was under way has been answered, or never will be: from then on it does not prolong a lease. */
  settled(): Promise<void>;
}

/** Requests by which a client takes leases. */
const TAKES = /\/(?:begin|claim)$/;
/** The server may keep the answers of these back; none of them prolongs a lease. */
const POLLS = /\/(?:watch|claim)$/;
const GRANT = /"grantId":"(grant_[0-9a-f-]{36})"/g;

/** A store's server has no keys: one that the environment holds for another server is not sent to it. */
export function cuttableClient(url: string, options: TidebaseOptions = {}): CuttableClient {
  const grantIds = new Set<string>();
  const under = options.fetch ?? fetch;
  const underWay = new Set<Promise<unknown>>();
  let cutOff: (reason: TidebaseError) => void = () => {};
  let isCut = false;
  const gone = new Promise<never>((_, reject) => {
    cutOff = reject;
  });
  gone.catch(() => {});

  const ask: typeof fetch = (address, init = {}) => {
    if (isCut) return gone;
    const { body } = init;
    if (typeof body === "string" && TAKES.test(String(address)))
      for (const [, grantId = ""] of body.matchAll(GRANT)) grantIds.add(grantId);
    const headers = new Headers(init.headers);
    if (options.apiKey === undefined) headers.delete("authorization");
    const sent = under(address, { ...init, headers });
    if (init.method === "POST" && !POLLS.test(String(address))) {
      const ended: Promise<unknown> = sent.catch(() => {}).then(() => underWay.delete(ended));
      underWay.add(ended);
    }
    return Promise.race([sent, gone]);
  };
  const tide = new Tidebase({ resumeHint: false, apiKey: "none", ...options, url, fetch: ask });
  return {
    tide,
    grantIds,
    cut() {
      isCut = true;
      cutOff(new TidebaseError("client_closed", "This client was killed by a test."));
    },
    async settled() {
      await Promise.all(underWay);
    },
  };
}
