import type { ToolDefinition } from "../tool.ts";

/** A resource, or the template of many, as clients see it, whatever MCP SDK carries it. */
export interface ResourceDefinition {
  /** RFC 6570, as far as `variablesIn` reads it; its variables are named as the tool's arguments. */
  readonly uriTemplate: `tidebase://${string}`;
  readonly name: string;
  readonly title: string;
  readonly description: string;
  readonly mimeType: "application/json" | "text/markdown";
  /** Whose answer it shows, and without which it is not offered; undefined: a page of the documentation. */
  readonly tool?: `tidebase_${string}`;
}

const JSON_TYPE = "application/json";

/** Everything there is, in the order clients see it. A resource shows what a tool answers, nothing more. */
const RESOURCES: readonly ResourceDefinition[] = [
  {
    uriTemplate: "tidebase://runs/{runId}",
    name: "run",
    title: "Run",
    description:
      "One run with its verdict (is it safe to rerun?), error, steps and last events. Can be subscribed to.",
    mimeType: JSON_TYPE,
    tool: "tidebase_get_run",
  },
  {
    uriTemplate: "tidebase://runs/{runId}/events{?afterSeq,limit}",
    name: "run-events",
    title: "Events of a run",
    description: "What happened to a run, in order, after an event number.",
    mimeType: JSON_TYPE,
    tool: "tidebase_list_events",
  },
  {
    uriTemplate: "tidebase://runs/{runId}/state/{version}{?stream}",
    name: "run-state",
    title: "State of a run",
    description: "A run's state at a version or at `latest`; another stream than `state` by name.",
    mimeType: JSON_TYPE,
    tool: "tidebase_get_state",
  },
  {
    uriTemplate: "tidebase://gates/{gateId}",
    name: "gate",
    title: "Gate",
    description: "A question to a human in full, and the ways to decide it. Can be subscribed to.",
    mimeType: JSON_TYPE,
    tool: "tidebase_get_gate",
  },
  {
    uriTemplate: "tidebase://queues",
    name: "queues",
    title: "Queues",
    description: "Depth, limits, dead letters and workers of the queues.",
    mimeType: JSON_TYPE,
    tool: "tidebase_list_queues",
  },
  {
    uriTemplate: "tidebase://schedules",
    name: "schedules",
    title: "Schedules",
    description: "Next fires and last outcomes of the schedules.",
    mimeType: JSON_TYPE,
    tool: "tidebase_list_schedules",
  },
  {
    uriTemplate: "tidebase://docs/{page}",
    name: "docs",
    title: "Documentation",
    description: "A page of Tidebase's documentation, of the version that runs here.",
    mimeType: "text/markdown",
  },
];

/** Those whose tool is offered too: what was left out is not read by another way. */
export function resourcesFor(tools: readonly ToolDefinition[]): readonly ResourceDefinition[] {
  return RESOURCES.filter(
    (resource) => resource.tool === undefined || tools.some(({ name }) => name === resource.tool),
  );
}

/** Whether it stands for many, one for each value of its variables. */
export function isTemplate({ uriTemplate }: ResourceDefinition): boolean {
  return uriTemplate.includes("{");
}
