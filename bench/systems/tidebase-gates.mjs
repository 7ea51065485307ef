/** W7 of Tidebase. */
import { randomUUID } from "node:crypto";

const QUESTION = { prompt: "Go on?" };
const QUEUE = "gates";

/**
 * Runs that wait at a gate: in this process, which keeps its lease; or `queued`: they are suspended then, and a worker in
 * this process claims them after the decision.
 */
export function gatesOf(tide) {
  const heard = new Map();
  let worker;
  async function work(run) {
    const { waiting, goesOn } = heard.get(run.input.heard);
    waiting((await run.gates.open("go", QUESTION)).gateId);
    await run.gate("go", { ...QUESTION, onWait: run.input.onWait });
    goesOn();
  }
  return async (listener, { queued = false } = {}) => {
    const input = { heard: randomUUID(), onWait: queued ? "suspend" : "block" };
    heard.set(input.heard, listener);
    if (!queued) return tide.run("gate", { input }, work);
    if (worker === undefined) {
      tide.workflow("gate", work);
      worker = tide.work({ queues: [QUEUE], concurrency: 16 });
    }
    await tide.enqueue("gate", { queue: QUEUE, input });
  };
}

/** A form is asked for beforehand; what is timed is the decision that it brings. */
export async function decision(tide, gateId) {
  const { phrase: secret, digest } = await tide.call("gates.form", { gateId });
  const proof = { kind: "form", secret };
  return () => tide.call("gates.redeem", { gateId, decision: "approved", digest, proof });
}
