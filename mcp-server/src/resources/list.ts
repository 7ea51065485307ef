import type { Backend } from "@tidebase/core";
import { age } from "../answers/time.ts";
import { docPages } from "./docs.ts";
import { inTime } from "./in-time.ts";
import { notableRuns, openGates } from "./notable.ts";
import { isTemplate, type ResourceDefinition } from "./resource.ts";

const ROWS_MAX = 20;

/** A resource that can be picked from a list. All its words are ours. */
interface ListedResource {
  readonly uri: string;
  readonly name: string;
  readonly title: string;
  readonly description: string;
  readonly mimeType: string;
  readonly size?: number;
  readonly annotations?: { readonly lastModified: string };
}

/** What the list is made from. */
interface Listing {
  readonly resources: readonly ResourceDefinition[];
  backend(): Promise<Backend>;
  onError?: ((error: unknown) => void) | undefined;
}

/**
 * What somebody may want to look at now: open gates, runs that failed, were interrupted or wait, then what
 * is always there. Without the former when the store does not answer within two seconds.
 */
export async function listResources(listing: Listing): Promise<ListedResource[]> {
  const { resources, onError } = listing;
  const live = await inTime(liveOnes(listing), onError);
  const fixed = resources
    .filter((resource) => !isTemplate(resource))
    .map(({ uriTemplate: uri, name, title, description, mimeType }) => {
      return { uri, name, title, description, mimeType };
    });
  return [...(live ?? []), ...fixed, ...(await docs(listing))];
}

async function liveOnes({ resources, backend }: Listing): Promise<ListedResource[]> {
  const offered = (name: string): boolean => resources.some((one) => one.name === name);
  if (!offered("gate") && !offered("run")) return [];
  const store = await backend();
  const [gates, runs] = await Promise.all([
    offered("gate") ? openGates(store, ROWS_MAX) : [],
    offered("run") ? notableRuns(store, ROWS_MAX) : [],
  ]);
  return [...gates.map(ofGate), ...runs.map(ofRun)];
}

function ofGate(gate: Awaited<ReturnType<typeof openGates>>[number]): ListedResource {
  const { gateId, risk, openedAt } = gate;
  return {
    uri: `tidebase://gates/${gateId}`,
    name: gateId,
    title: `Open gate, ${age(openedAt)} old`,
    description: `A human has to decide. Risk ${risk}.`,
    mimeType: "application/json",
    annotations: { lastModified: openedAt },
  };
}

function ofRun(run: Awaited<ReturnType<typeof notableRuns>>[number]): ListedResource {
  const { runId, status, failureClass, updatedAt } = run;
  return {
    uri: `tidebase://runs/${runId}`,
    name: runId,
    title: `${status.charAt(0).toUpperCase()}${status.slice(1)} run, ${age(updatedAt)} ago`,
    description: `Status ${status}${failureClass === null ? "" : `, ${failureClass}`}. With its verdict.`,
    mimeType: "application/json",
    annotations: { lastModified: updatedAt },
  };
}

async function docs({ resources }: Listing): Promise<ListedResource[]> {
  const definition = resources.find(({ name }) => name === "docs");
  if (definition === undefined) return [];
  const { mimeType } = definition;
  return [...(await docPages())].map(([page, { title, text }]) => ({
    uri: `tidebase://docs/${page}`,
    name: `docs-${page}`,
    title,
    description: "A page of Tidebase's documentation.",
    mimeType,
    size: Buffer.byteLength(text),
  }));
}
