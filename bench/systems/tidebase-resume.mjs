/** W3 of Tidebase: a run that failed after many finished steps. */
import { randomUUID } from "node:crypto";
import diagnostics from "node:diagnostics_channel";
import { request } from "undici";
import { Tidebase } from "../../sdk/dist/index.js";
import { OUTPUT } from "../payload.mjs";

/** Finished steps are recorded this many a request. */
const PREPARED_AT_ONCE = 500;

/**
 * A client that has no connection yet goes on with a run whose finished steps are all replayed. Milliseconds from the
 * call to the first new step's function, and the HTTP requests sent until then. The run fails after that, for the next.
 */
export async function resume(url, runId, count) {
  const tide = new Tidebase({ url, log: () => {} });
  const sent = countRequests(url);
  const started = performance.now();
  const reached = {};
  const planned = new Error("planned");
  try {
    await tide.run("resume", { runId }, async (run) => {
      for (let n = 0; n < count; n++) await run.step("s", { key: String(n) }, ranTwice);
      await run.step("new", { key: randomUUID() }, () => {
        reached.ms = performance.now() - started;
        reached.requests = sent.count();
      });
      throw planned;
    });
  } catch (error) {
    if (error !== planned) throw error;
  } finally {
    sent.stop();
    await tide.close();
  }
  return reached;
}

function ranTwice() {
  throw new Error("A finished step ran again.");
}

/** A run that was handed back with `count` finished steps. */
export async function prepare(url, count) {
  const { runId } = await post(url, "/v1/runs", { workflow: "resume" });
  const grantId = `grant_${randomUUID()}`;
  const { epoch } = await post(url, `/v1/runs/${runId}/begin`, { grantId });
  const lease = { runId, epoch, grantId };
  for (let from = 0; from < count; from += PREPARED_AT_ONCE) {
    const length = Math.min(PREPARED_AT_ONCE, count - from);
    const items = Array.from({ length }, (_, n) => {
      return { ...lease, name: "s", key: String(from + n), output: OUTPUT };
    });
    await post(url, "/v1/steps/complete", { items });
  }
  await post(url, `/v1/runs/${runId}/release`, { epoch, grantId });
  return runId;
}

async function post(url, path, input) {
  const headers = { "content-type": "application/json" };
  const body = JSON.stringify(input);
  const answer = await request(`${url}${path}`, { method: "POST", headers, body });
  if (answer.statusCode === 200) return answer.body.json();
  throw new Error(`${path} answered ${answer.statusCode}: ${await answer.body.text()}`);
}

/** Every HTTP request of this process to `url`, whoever sends it: undici announces each, Node's own fetch too. */
function countRequests(url) {
  let count = 0;
  function onRequest({ request: { origin } }) {
    if (String(origin) === url) count++;
  }
  diagnostics.subscribe("undici:request:create", onRequest);
  return {
    count: () => count,
    stop: () => diagnostics.unsubscribe("undici:request:create", onRequest),
  };
}
