import { type Operations, routes } from "../operations.gen.ts";
import type { CallOptions, Exchange } from "./calls.ts";
import { coalesce, inBatches } from "./coalesce.ts";

type BatchName =
  | "steps.begin"
  | "steps.complete"
  | "steps.fail"
  | "runs.complete"
  | "runs.enqueue"
  | "runs.heartbeat";
type Result<Name extends BatchName> = Operations[Name]["output"]["results"][number];

/**
 * How the writes of all runs of this process, and its new runs, reach the server. Items are JSON texts, so that an
 * output is written out once; calls in flight at the same time share a request.
 */
export interface Lanes {
  begin(item: string): Promise<Result<"steps.begin">>;
  complete(item: string): Promise<Result<"steps.complete">>;
  fail(item: string): Promise<Result<"steps.fail">>;
  completeRun(item: string): Promise<Result<"runs.complete">>;
  /** Of a run without keys: one with a key may have to wait for somebody else's, and goes by `enqueueAll`. */
  enqueue(item: string): Promise<Result<"runs.enqueue">>;
  /** These and no others, a thousand in a request; the results are in their order. */
  enqueueAll(items: readonly string[]): Promise<Result<"runs.enqueue">[]>;
  /** One try only: the next beat is the second one. */
  heartbeat(item: string): Promise<Result<"runs.heartbeat">>;
  /** In a request of its own: where another's run is locked, all beats of a request wait. */
  heartbeatAlone(item: string): Promise<Result<"runs.heartbeat">>;
}

/** `giveUpAfterMs` is how long a step's record is kept and sent again while the server is away. */
export function lanesOver(exchange: Exchange, giveUpAfterMs: number, beatTimeoutMs: number): Lanes {
  const batch = <Name extends BatchName>(name: Name, options?: CallOptions) => {
    const path = routes[name].slice("POST ".length);
    return async (items: readonly string[]): Promise<Result<Name>[]> => {
      const text = await exchange("POST", path, `{"items":[${items.join(",")}]}`, options);
      return (JSON.parse(text) as { results: Result<Name>[] }).results;
    };
  };
  const lane = <Name extends BatchName>(name: Name, options?: CallOptions) =>
    coalesce<Result<Name>>(batch(name, options));
  const patient = { patienceMs: giveUpAfterMs };
  const beat = { patienceMs: 0, timeoutMs: beatTimeoutMs };
  return {
    begin: lane("steps.begin", patient),
    complete: lane("steps.complete", patient),
    fail: lane("steps.fail", patient),
    completeRun: lane("runs.complete", patient),
    enqueue: lane("runs.enqueue"),
    enqueueAll: (items) => inBatches(items, batch("runs.enqueue")),
    heartbeat: lane("runs.heartbeat", beat),
    async heartbeatAlone(item) {
      const [result] = await inBatches([item], batch("runs.heartbeat", beat));
      return result as Result<"runs.heartbeat">;
    },
  };
}
