import { request } from "undici";
import { median, timeEach } from "../statistics.mjs";
import { pickUp } from "./queues.mjs";

const LIST_MS_MAX = 20;
const ASKED = 20;
const beside = (most) => [{ most, of: "empty", for: "full" }];

/** The same store twice: one with no run in it at the beginning, one with many finished ones. */
export const history = {
  id: "W6",
  title: "W1 and W5 with finished runs in the tables",
  warmUps: 5,
  measures: [
    { id: "step", title: "a step as in W1, median", unit: "ms", targets: beside(1.15) },
    { id: "pickup", title: "pickup as in W5, median", unit: "ms", targets: beside(1.15) },
  ],
  async open(stage) {
    const { history: runs, steps, pickups } = stage.sizes;
    const measuring = (system) => ({
      async measure() {
        const { times } = await system.client.call("steps", steps);
        return { step: median(times), pickup: median(await pickUp(system, pickups)) };
      },
    });
    const roles = ["client", "worker"];
    const stores = {
      empty: ["empty tables", undefined],
      full: [`${runs.toLocaleString("en-US")} finished runs`, () => stage.filledStore(runs)],
    };
    const contenders = [];
    for (const [name, [title, store]] of Object.entries(stores))
      contenders.push(
        ...(await stage.systems("W6", { roles, store }, (system) => {
          return { name, title: `Tidebase, ${title}`, ...measuring(system) };
        })),
      );
    return contenders;
  },
};

const LISTS = {
  "runs.list": "/v1/runs",
  "runs.list, next page": ({ cursor }) => `/v1/runs?cursor=${encodeURIComponent(cursor)}`,
  "runs.list of a status": "/v1/runs?status=failed",
  "runs.list of a workflow": ({ workflow }) => `/v1/runs?workflow=${encodeURIComponent(workflow)}`,
  "runs.get": ({ runId }) => `/v1/runs/${runId}`,
  "steps.list": ({ runId }) => `/v1/runs/${runId}/steps`,
  "events.list": ({ runId }) => `/v1/runs/${runId}/events`,
  "runs.overview": "/v1/overview",
  "gates.list": "/v1/gates",
  "queues.list": "/v1/queues",
  "schedules.list": "/v1/schedules",
};

/** What people and assistants look at, in a store of a million runs. */
export const lists = {
  id: "W6",
  title: "lists over HTTP in a large store",
  measures: Object.keys(LISTS).map((title) => ({
    ...{ id: title, title, unit: "ms" },
    targets: [{ most: LIST_MS_MAX }],
  })),
  open: (stage) =>
    stage.systems("W6", { roles: [], store: stage.largeStore }, async ({ url }) => {
      const page = await get(url, LISTS["runs.list"]);
      const { runId, workflow } = page.runs.at(-1);
      const known = { runId, workflow, cursor: page.nextCursor };
      return {
        async measure() {
          const figures = {};
          for (const [title, path] of Object.entries(LISTS)) {
            const asked = typeof path === "string" ? path : path(known);
            figures[title] = median(await timeEach(ASKED, () => get(url, asked)));
          }
          return figures;
        },
      };
    }),
};

async function get(url, path) {
  const answer = await request(`${url}${path}`);
  if (answer.statusCode === 200) return answer.body.json();
  throw new Error(`${path} answered ${answer.statusCode}: ${await answer.body.text()}`);
}
