import { cancels } from "./cancels.ts";
import { chains } from "./chains.ts";
import { cron } from "./cron.ts";
import { fanOuts } from "./fan-outs.ts";
import { gates } from "./gates.ts";
import { jobs } from "./jobs.ts";
import { lists } from "./lists.ts";
import { meters } from "./meters.ts";
import { retention } from "./retention.ts";
import { webhooks } from "./webhooks.ts";
import type { Workload } from "./workload.ts";

/** Every kind of load, light enough that all of them together leave two cores some rest. */
export const workloads: readonly Workload[] = [
  chains,
  jobs,
  gates,
  cron,
  cancels,
  webhooks,
  lists,
  fanOuts,
  meters,
  retention,
];
