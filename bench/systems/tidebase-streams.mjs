/** W8 of Tidebase: many readers of one run's events. */
import { setTimeout as delay } from "node:timers/promises";
import { deferred, now } from "../statistics.mjs";

export function streamsOf(tide) {
  let writing;
  let following;
  return {
    /** Begins a run whose steps others follow, and gives its id. */
    async beginWriting() {
      const [begun, steps] = [deferred(), deferred()];
      const done = tide.run("followed", {}, async (run) => {
        begun.resolve(run.runId);
        return writeSteps(run, await steps.promise);
      });
      done.catch(begun.reject);
      writing = { steps, done };
      return begun.promise;
    },

    /** Its steps, one every so often: when each began to be recorded. The run ends with them. */
    write(steps) {
      writing.steps.resolve(steps);
      return writing.done;
    },

    /** So many streams of the run's events; until each has told of its first one. */
    async follow({ runId, readers, steps }) {
      const opened = Array.from({ length: readers }, deferred);
      const last = new Array(steps).fill(0);
      const ended = opened.map(({ resolve, reject }) =>
        read(tide.runs.events(runId), { resolve, last }).catch(reject),
      );
      following = Promise.all(ended).then(() => last);
      await Promise.all(opened.map(({ promise }) => promise));
    },

    /** When the last reader had each step. */
    followed: () => following,
  };
}

async function writeSteps(run, { count, everyMs }) {
  const sent = [];
  for (let n = 0; n < count; n++) {
    await delay(everyMs);
    sent.push(now());
    await run.step("s", { key: String(n) }, () => n);
  }
  return sent;
}

async function read(events, { resolve, last }) {
  for await (const event of events) {
    resolve();
    if (event.type === "step.completed") last[Number(event.data.key)] = now();
  }
}
