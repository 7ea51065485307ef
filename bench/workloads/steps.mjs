import { median } from "../statistics.mjs";

const RUNS = 16;
const STEPS_OF_EACH = 50;
/** V8 compiles hot code only after some thousand calls. */
const WARM_UPS = 10;
/** 1 KB of it is the step's output. */
const WAL_BYTES_MAX = 3 * 1024;

export const sequentialSteps = {
  id: "W1",
  title: "steps of one run, one after the other, 1 KB each",
  warmUps: WARM_UPS,
  measures: [
    {
      id: "step",
      title: "a step, median",
      unit: "ms",
      floor: "post",
      targets: [
        { most: 0.6, of: "restate" },
        { most: 1.9, of: "post" },
      ],
    },
    { id: "mean", title: "a step, mean with the run's begin and end", unit: "ms" },
  ],
  costTargets: { commits: { most: 1.1 }, walBytes: { most: WAL_BYTES_MAX } },
  async open(stage) {
    const count = stage.sizes.steps;
    const floors = await stage.floors((floor) => ({
      measure: async () => ({ step: await floor.alone() }),
    }));
    const systems = await stage.systems("W1", { roles: ["client"] }, ({ client }) => ({
      async measure() {
        const { times, all } = await client.call("steps", count);
        return { step: median(times), mean: all / count };
      },
      cost: { steps: count, work: () => client.call("steps", count) },
    }));
    return [...floors, ...systems];
  },
};

export const concurrentRuns = {
  id: "W2",
  title: `${RUNS} runs at once, ${STEPS_OF_EACH} steps of 1 KB each`,
  warmUps: 2,
  measures: [
    {
      id: "steps",
      title: "steps",
      unit: "/s",
      better: "more",
      floor: "post",
      targets: [
        { least: 3, of: "best peer" },
        { least: 1, of: "post" },
      ],
    },
  ],
  async open(stage) {
    const load = { runs: RUNS, steps: STEPS_OF_EACH };
    const floors = await stage.floors((floor) => ({
      measure: async () => ({ steps: await floor.sixteen() }),
    }));
    const systems = await stage.systems("W2", { roles: ["client"] }, ({ client }) => ({
      measure: async () => ({ steps: await client.call("runs", load) }),
      cost: { steps: RUNS * STEPS_OF_EACH, work: () => client.call("runs", load) },
    }));
    return [...floors, ...systems];
  },
};
