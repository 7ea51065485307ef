import type { Actor, Problem } from "@tidebase/core";
import { readBody } from "./body.ts";
import type { Exchange, Work } from "./exchange.ts";
import { type Refusal, refusal } from "./problem.ts";

/** Another protocol at one path beside the API, behind the same guard, log, request id and authentication. */
export interface Mount {
  readonly path: `/${string}`;
  readonly methods: readonly string[];
  /** Largest body of a POST. */
  readonly bodyLimitBytes: number;
  /** Answers a request that was let in. What it throws is a problem, like that of an operation. */
  answer(mounted: Mounted): Promise<Response>;
  /** The JSON document of a refusal in the words of that protocol. */
  refuse(problem: Problem & { readonly requestId: string }): string;
  /** The server stops: ends what stays open by itself. Called while requests under way are finished. */
  close(): Promise<void>;
}

/** A request of a known caller on its way to a mount. */
export interface Mounted {
  readonly request: Request;
  readonly actor: Actor;
  /** The JSON object of a POST; undefined for any other method. */
  readonly body: object | undefined;
  /** Asks again who sends this request, for an answer that stays open. Throws what the first time would. */
  identify(): Promise<Actor>;
}

/** Who sends a request, as it finds out once and notes on the exchange. */
export type Identify = (current: Exchange) => Promise<Actor>;

/** The work of a mount's route: who calls, then the body, then the mount. */
export function mountedWork(mount: Mount, identify: Identify): Work {
  return async (current) => {
    const { request, c } = current;
    const actor = await identify(current);
    const body =
      request.method === "POST"
        ? await readBody(request, c.env?.incoming, mount.bodyLimitBytes)
        : undefined;
    return mount.answer({ request, actor, body, identify: () => identify(current) });
  };
}

/** The problem of anything thrown, said in the mount's words. */
export function refusalOf(mount: Mount): (thrown: unknown, requestId: string) => Refusal {
  return (thrown, requestId) => {
    const { problem, headers } = refusal(thrown, requestId);
    return {
      problem,
      headers: { ...headers, "content-type": "application/json" },
      body: mount.refuse({ ...problem, requestId }),
    };
  };
}
