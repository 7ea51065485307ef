import { closest } from "../closest.ts";
import { ToolFailure } from "../tool-error.ts";
import { docPages } from "./docs.ts";
import type { ResourceDefinition } from "./resource.ts";
import { type Match, matchUri } from "./uri.ts";

/** What reading works with. */
interface Reading {
  readonly resources: readonly ResourceDefinition[];
  /** What the tool of this name answers to these arguments. */
  answer(tool: string, given: Readonly<Record<string, unknown>>): Promise<object>;
}

/** One resource, read. */
interface Contents {
  readonly uri: string;
  readonly mimeType: string;
  readonly text: string;
}

/**
 * The tool's answer as the compact JSON that a call of it brings, or a page. Throws `resource_not_found`,
 * `page_not_found`, or what the tool throws.
 */
export async function readResource(uri: string, { resources, answer }: Reading): Promise<Contents> {
  const { resource, variables } = find(uri, resources);
  const { mimeType, tool } = resource;
  if (tool === undefined) return { uri, mimeType, text: await pageText(variables["page"] ?? "") };
  return { uri, mimeType, text: JSON.stringify(await answer(tool, argumentsOf(variables))) };
}

/** The resource with this URI; throws `resource_not_found`. */
export function find(uri: string, resources: readonly ResourceDefinition[]): Match {
  const match = matchUri(uri, resources);
  if (match !== undefined) return match;
  throw new ToolFailure({
    code: "resource_not_found",
    message: "No resource has that URI.",
    fix: `There are: ${resources.map(({ uriTemplate }) => uriTemplate).join(", ")}.`,
    retryable: false,
  });
}

const NUMBERS: readonly string[] = ["afterSeq", "limit", "version"];

/** As the tool takes them: numbers as such where they are, and the latest version by leaving it out. */
function argumentsOf(variables: Match["variables"]): Record<string, unknown> {
  const entries = Object.entries(variables).filter(
    ([name, value]) => !(name === "version" && value === "latest"),
  );
  return Object.fromEntries(
    entries.map(([name, value]) => [
      name,
      NUMBERS.includes(name) && /^\d{1,16}$/.test(value) ? Number(value) : value,
    ]),
  );
}

async function pageText(name: string): Promise<string> {
  const pages = await docPages();
  const page = pages.get(name);
  if (page !== undefined) return page.text;
  const names = [...pages.keys()];
  const guess = closest(name, names);
  throw new ToolFailure({
    code: "page_not_found",
    message: "The documentation has no page of that name.",
    fix: `${guess === undefined ? "" : `Did you mean ${guess}? `}Pages: ${names.join(", ")}.`,
    retryable: false,
  });
}
