import { randomUUID } from "node:crypto";
import diagnostics from "node:diagnostics_channel";
import { request } from "undici";
import { Tidebase } from "../sdk/dist/index.js";
import { OUTPUT } from "./floors.mjs";
import { inParallel, median, quantile, rate, timeEach } from "./statistics.mjs";

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

  return {
    w1,
    w2,
    w3: (count) => w3(url, count),
    w4: (batched) => w4(url, batched),
    w5: () => w5(url),
    close: () => tide.close(),
  };
}

/**
 * 10,000 jobs, one a call with 16 calls in flight or 1,000 a call; then one worker drains them at concurrency 16. Jobs a
 * second of each part.
 */
async function w4(url, batched, count = 10_000) {
  const tide = new Tidebase({ url });
  const queue = `w4-${randomUUID()}`;
  let left = count;
  let drained = () => {};
  const all = new Promise((resolve) => {
    drained = resolve;
  });
  tide.workflow("w4", () => {
    left -= 1;
    if (left === 0) drained();
  });
  const one = () => tide.enqueue("w4", { queue, input: OUTPUT });
  const many = () =>
    tide.enqueueMany(
      "w4",
      Array.from({ length: count }, () => ({ queue, input: OUTPUT })),
    );
  try {
    const enqueued = await rate(count, () => (batched ? many() : inParallel(16, count / 16, one)));
    const done = await rate(count, async () => {
      const worker = tide.work({ queues: [queue], concurrency: 16 });
      await all;
      await worker.stop();
    });
    return { enqueued, done };
  } finally {
    await tide.close();
  }
}

/** 200 jobs, one after the other, for a worker with nothing to do. Milliseconds from the call to its function. */
async function w5(url, count = 200) {
  const [giver, taker] = [new Tidebase({ url }), new Tidebase({ url })];
  const queue = `w5-${randomUUID()}`;
  let begun = () => {};
  taker.workflow("w5", () => begun());
  const worker = taker.work({ queues: [queue], concurrency: 16 });
  const pickUp = () =>
    new Promise((resolve, reject) => {
      begun = resolve;
      giver.enqueue("w5", { queue }).catch(reject);
    });
  try {
    await timeEach(20, pickUp); // connections
    const times = await timeEach(count, pickUp);
    return { median: median(times), p99: quantile(times, 0.99) };
  } finally {
    await worker.stop();
    await Promise.all([giver.close(), taker.close()]);
  }
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
