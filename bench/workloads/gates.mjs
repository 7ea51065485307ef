import { setTimeout as delay } from "node:timers/promises";
import { median, quantile } from "../statistics.mjs";

/** What waits is at rest by then. */
const SETTLE_MS = 1000;
/** Between two decisions, so that they meet a poller at any moment. */
const PAUSE_MS = 100;

export const gates = {
  id: "W7",
  title: "from a decision to the code that waited for it",
  measures: [
    {
      id: "p50",
      title: "code that waits in its process, median",
      unit: "ms",
      targets: [{ most: 5 }],
    },
    { id: "p99", title: "… the slowest but one in a hundred", unit: "ms" },
    {
      id: "queued",
      title: "a suspended run, claimed by an idle worker, median",
      unit: "ms",
      targets: [{ most: 5 }],
    },
  ],
  open: (stage) =>
    stage.systems("W7", { roles: ["client", "worker"] }, ({ name, client, worker = client }) => ({
      async measure() {
        const times = await decideAll({ client, worker }, stage.sizes.gates);
        const figures = { p50: median(times), p99: quantile(times, 0.99) };
        if (name !== "tidebase") return figures;
        const how = { queued: true };
        const queued = median(await decideAll({ client, worker }, stage.sizes.gates, how));
        return { ...figures, queued };
      },
    })),
};

/** So many wait at once; they are decided one after the other. */
async function decideAll({ client, worker }, count, how) {
  const waiting = [];
  for (let n = 0; n < count; n++) waiting.push(await worker.call("wait", how));
  await delay(SETTLE_MS);
  const times = [];
  for (const { gate, handle } of waiting) {
    const sentAt = await client.call("decide", handle);
    times.push((await worker.call("wentOn", gate)) - sentAt);
    await delay(Math.random() * PAUSE_MS);
  }
  return times;
}
