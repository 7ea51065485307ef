/**
 * What the bench asks of a client or worker, the same for every system. What an adapter has to offer for it:
 *
 *   steps(count)               one run of so many steps of 1 KB; milliseconds of each as its code sees them
 *   prepare(count)             a run that failed after so many finished steps: a handle
 *   resume(handle, count)      goes on with it until the first new step's function: { ms }
 *   enqueue(n, { backlog })    one job, acknowledged; `backlog`: there is no worker yet
 *   enqueueMany(ns)            many jobs in one call
 *   work(onJob, { backlog })   a worker of concurrency 16, calling onJob(n); answers what stops it
 *   gate(listener, how)        code that waits for a decision: listener.waiting(handle), then listener.goesOn()
 *   decision(handle)           a function that sends the decision
 *   operations                 what it alone can do
 *   close()
 */
import { setTimeout as delay } from "node:timers/promises";
import { deferred, now, pooled, rate } from "./statistics.mjs";

export function operationsOf(system) {
  const gates = [];
  let stop = async () => {};
  let seen = { times: [], done: deferred() };

  return {
    async steps(count) {
      const started = now();
      const times = await system.steps(count);
      return { times, all: now() - started };
    },

    /** Steps a second of that many runs at once. */
    runs: ({ runs, steps }) =>
      rate(runs * steps, () =>
        Promise.all(Array.from({ length: runs }, () => system.steps(steps))),
      ),

    prepare: (count) => system.prepare(count),
    resume: ({ handle, count }) => system.resume(handle, count),

    /** Jobs a second. */
    enqueue: ({ count, inFlight }) =>
      rate(count, () => pooled(count, inFlight, (n) => system.enqueue(n, { backlog: true }))),

    /** Jobs a second, so many a call and one call after the other. */
    enqueueMany: ({ count, batch }) =>
      rate(count, async () => {
        for (let from = 0; from < count; from += batch) {
          const length = Math.min(batch, count - from);
          await system.enqueueMany(Array.from({ length }, (_, n) => from + n));
        }
      }),

    /** One job every so often, whether the last was picked up or not. When each was sent. */
    async arrive({ count, everyMs }) {
      const [sent, calls, started] = [[], [], now()];
      for (let n = 0; n < count; n++) {
        await delay(Math.max(0, started + n * everyMs - now()));
        sent.push(now());
        calls.push(system.enqueue(n, { backlog: false }));
      }
      await Promise.all(calls);
      return sent;
    },

    expect(count) {
      seen = { times: [], left: count, done: deferred() };
    },

    async work(how) {
      stop = await system.work((n) => {
        if (seen.times[n] !== undefined) return; // once more
        seen.times[n] = now();
        seen.left -= 1;
        if (seen.left === 0) seen.done.resolve();
      }, how);
    },

    /** When each of the expected jobs began. */
    async picked() {
      await seen.done.promise;
      return seen.times;
    },

    async rest() {
      await stop();
      stop = async () => {};
    },

    /** Begins code that waits for a decision, and tells what a decision needs to know. */
    async wait(how) {
      const [waiting, wentOn] = [deferred(), deferred()];
      const listener = { waiting: waiting.resolve, goesOn: () => wentOn.resolve(now()) };
      system.gate(listener, how).catch(waiting.reject);
      gates.push(wentOn.promise);
      return { gate: gates.length - 1, handle: await waiting.promise };
    },

    async decide(handle) {
      const send = await system.decision(handle);
      const sentAt = now();
      await send();
      return sentAt;
    },

    wentOn: (gate) => gates[gate],
    ...system.operations,
  };
}
