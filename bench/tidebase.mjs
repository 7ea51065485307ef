import { randomUUID } from "node:crypto";
import diagnostics from "node:diagnostics_channel";
import { request } from "undici";
import { Tidebase } from "../sdk/dist/index.js";
import { OUTPUT } from "./floors.mjs";
import { median, rate, timeEach } from "./statistics.mjs";

/** Finished steps are recorded this many a request when W3 is prepared. */
const PREPARED_AT_ONCE = 500;

/** The workloads against a Tidebase server, by the SDK alone. */
export function openWorkloads(url) {
  const tide = new Tidebase({ url });

  /** `count` steps of 1 KB, one after the other. Median milliseconds of one, and the mean over the whole run. */
  async function w1(count = 200) {
    const started = performance.now();
    const times = await tide.run("w1", {}, (run) => timeEach(count, (n) => step(run, n)));
    return { median: median(times), mean: (performance.now() - started) / count };
  }

  /** 16 runs at once of `count` steps each. Steps a second. */
  function w2(count = 50) {
    const one = () => tide.run("w2", {}, (run) => timeEach(count, (n) => step(run, n)));
    return rate(16 * count, () => Promise.all(Array.from({ length: 16 }, one)));
  }

  return { w1, w2, w3: (count) => w3(url, count), close: () => tide.close() };
}

function step(run, n) {
  return run.step("s", { key: String(n) }, () => OUTPUT);
}

/**
 * A run with `count` finished steps is taken up by a client that has no connection yet. Milliseconds from the call to
 * the first new step's function, all others replayed, and the HTTP requests sent until then.
 */
async function w3(url, count) {
  const runId = await prepare(url, count);
  const tide = new Tidebase({ url });
  const sent = countRequests(url);
  const started = performance.now();
  const reached = {};
  try {
    await tide.run("w3", { runId }, async (run) => {
      for (let n = 0; n < count; n++) await run.step("s", { key: String(n) }, ranTwice);
      await run.step("new", () => {
        reached.ms = performance.now() - started;
        reached.requests = sent.count();
      });
    });
    return reached;
  } finally {
    sent.stop();
    await tide.close();
  }
}

function ranTwice() {
  throw new Error("A finished step ran again.");
}

/** A run that was handed back with `count` finished steps. */
async function prepare(url, count) {
  const { runId } = await post(url, "/v1/runs", { workflow: "w3" });
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
