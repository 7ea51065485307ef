import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { isTidebaseError, type Run, type StepContext, type StepContract } from "@tidebase/sdk";
import { now } from "../history/evidence.ts";
import { type Called, describe, isRefusal, type Log, type Recorder } from "../history/recorder.ts";
import { effect } from "../oracle/client.ts";

/** What a worker's workflows work with. */
export interface Workshop {
  /** The worker with its incarnation. */
  readonly proc: string;
  readonly leaseMs: number;
  readonly oracleUrl: string;
  readonly log: Log;
}

/** How a step of a workload goes, besides its effect. */
export interface StepPlan extends StepContract {
  /** Before its effect, and after it; may throw. */
  before?(context: StepContext): Promise<void> | void;
  after?(context: StepContext): Promise<void> | void;
}

/** One run's side of a workload. */
export class Bench<Input = unknown> {
  readonly run: Run<Input>;
  readonly #shop: Workshop;
  readonly #recorder: Recorder;
  /** Says in every nonce when its attempt began: what was known to be completed by then may not run again. */
  readonly #beganAt = now();

  constructor(shop: Workshop, workload: string, run: Run<Input>) {
    this.run = run;
    this.#shop = shop;
    this.#recorder = shop.log.of(workload);
    this.#recorder.invoked({ f: "attempt", key: run.runId, value: { beganAt: this.#beganAt } });
  }

  get leaseMs(): number {
    return this.#shop.leaseMs;
  }

  /** A step with one effect at the oracle, first thing; gives the nonce of the execution that was recorded. */
  step(name: string, { before, after, ...contract }: StepPlan = {}): Promise<string> {
    const step = contract.key === undefined ? name : `${name}/${contract.key}`;
    const { run } = this;
    const { proc, oracleUrl } = this.#shop;
    const work = async (context: StepContext) => {
      await before?.(context);
      const nonce = `${this.#beganAt}/${randomUUID()}`;
      await effect(oracleUrl, { run: run.runId, step, attempt: context.attempt, proc, nonce });
      await after?.(context);
      return { nonce };
    };
    const called = { f: "step", key: run.runId, value: { step } };
    return this.watched(called, async () => {
      const { nonce } = await run.step(name, contract, work);
      return { step, nonce };
    }).then(({ nonce }) => nonce);
  }

  /**
   * Records a call that the SDK may have sent more than once: that its run is lost says nothing of what was
   * done before, so that is no certain refusal.
   */
  async watched<T>(called: Called, call: () => Promise<T>): Promise<T> {
    const end = this.#recorder.invoked(called);
    try {
      const answer = await call();
      end("ok", answer);
      return answer;
    } catch (error) {
      const isLost = isTidebaseError(error, "lease_lost", "run_cancelled", "run_not_found");
      end(isRefusal(error) && !isLost ? "fail" : "info", describe(error));
      throw error;
    }
  }
}

/** Works so long, and does not listen to anybody meanwhile. */
export async function busy(ms: number): Promise<void> {
  await sleep(ms);
}
