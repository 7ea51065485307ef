import { median, quantile } from "../statistics.mjs";

const IN_FLIGHT = 16;
const BATCH = 1000;
/** A worker is idle when it has picked these up. */
const FIRST_JOBS = 20;
const EVERY_MS = 50;

export const queue = {
  id: "W4",
  title: "enqueue small jobs, then drain them by one worker process at concurrency 16",
  measures: [
    {
      id: "enqueue",
      title: `enqueue, ${IN_FLIGHT} in flight`,
      unit: "/s",
      better: "more",
      targets: [{ least: 1, of: "best peer" }],
    },
    {
      id: "drain",
      title: "drain",
      unit: "/s",
      better: "more",
      targets: [{ least: 1.5, of: "pgboss" }],
    },
    {
      id: "batch",
      title: `enqueue, ${BATCH.toLocaleString("en-US")} a call`,
      unit: "/s",
      better: "more",
      targets: [{ least: 20_000 }],
    },
  ],
  open: (stage) =>
    stage.systems("W4", { roles: ["client", "worker"] }, ({ client, worker, lacks }) => {
      const count = stage.sizes.jobs;
      const enqueue = () => client.call("enqueue", { count, inFlight: IN_FLIGHT });
      const enqueueMany = () => client.call("enqueueMany", { count, batch: BATCH });
      return {
        async measure() {
          if (lacks.includes("drain")) return { enqueue: await enqueue() };
          const [one, drain] = await enqueueAndDrain(worker, count, enqueue);
          if (lacks.includes("batch")) return { enqueue: one, drain };
          const [batch] = await enqueueAndDrain(worker, count, enqueueMany);
          return { enqueue: one, drain, batch };
        },
      };
    }),
};

/** Jobs a second of both. The worker's time is from its first job's function to its last one's. */
async function enqueueAndDrain(worker, count, enqueue) {
  await worker.call("expect", count);
  const enqueued = await enqueue();
  await worker.call("work", { backlog: true });
  const times = (await worker.call("picked")).toSorted((a, b) => a - b);
  await worker.call("rest");
  return [enqueued, count / ((times.at(-1) - times[0]) / 1000)];
}

export const pickup = {
  id: "W5",
  title: `pickup by an idle worker, one job each ${EVERY_MS} ms`,
  measures: [
    {
      id: "p50",
      title: "from the call to the job's function, median",
      unit: "ms",
      targets: [{ most: 5 }, { most: 1, of: "best peer" }],
    },
    { id: "p99", title: "… p99", unit: "ms" },
  ],
  open: (stage) =>
    stage.systems("W5", { roles: ["client", "worker"] }, (system) => ({
      async measure() {
        const times = await pickUp(system, stage.sizes.pickups);
        return { p50: median(times), p99: quantile(times, 0.99) };
      },
    })),
};

/** Milliseconds from each call to the function of its job, for a worker with nothing else to do. */
export async function pickUp({ client, worker }, count) {
  await worker.call("work", { backlog: false });
  await arrive({ client, worker }, FIRST_JOBS);
  const times = await arrive({ client, worker }, count);
  await worker.call("rest");
  return times;
}

async function arrive({ client, worker }, count) {
  await worker.call("expect", count);
  const sent = await client.call("arrive", { count, everyMs: EVERY_MS });
  const picked = await worker.call("picked");
  return picked.map((at, n) => at - sent[n]);
}
