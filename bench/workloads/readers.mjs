import { median, quantile } from "../statistics.mjs";

const STEPS = 50;
const EVERY_MS = 20;

export const readers = {
  id: "W8",
  title: "SSE: many readers of one run, in one process",
  measures: [
    { id: "p50", title: "from recording a step to the last reader, median", unit: "ms" },
    { id: "p99", title: "… p99", unit: "ms" },
  ],
  open: (stage) =>
    stage.systems("W8", { roles: ["client", "worker"] }, ({ client, worker }) => ({
      async measure() {
        const runId = await client.call("beginWriting");
        await worker.call("follow", { runId, readers: stage.sizes.readers, steps: STEPS });
        const sent = await client.call("write", { count: STEPS, everyMs: EVERY_MS });
        const last = await worker.call("followed");
        const times = last.map((at, n) => at - sent[n]);
        return { p50: median(times), p99: quantile(times, 0.99) };
      },
    })),
};
