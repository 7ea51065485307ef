import { type Backend, listChildren } from "@tidebase/core";
import { z } from "zod";
import { ask, type Plain } from "../answers/plain.ts";
import { optional, Status } from "./run-fields.ts";

/** The children of a run in our words; their names are their authors'. */
export const Children = z.object({
  total: z.int(),
  more: z.boolean().optional().describe("There are more than were counted."),
  counts: z.array(z.object({ status: Status, count: z.int() })),
  failed: z.array(z.string()).optional().describe("Ids, at most five."),
});

const PAGE = 1000;
/** A page is up to half a megabyte from a remote server: a run may have ten. */
const PAGES_MAX = 3;
const FAILED_MAX = 5;

type Page = Plain<z.output<typeof listChildren.output>>;

/** Counted by status; undefined when the run has none. Throws `run_not_found`. */
export async function childrenOf(
  backend: Backend,
  runId: string,
): Promise<z.output<typeof Children> | undefined> {
  const counts = new Map<z.output<typeof Status>, number>();
  const failed: string[] = [];
  let after: { afterName?: string; afterKey?: string } | undefined = {};
  let total = 0;
  for (let page = 0; page < PAGES_MAX && after !== undefined; page++) {
    const answer: Page = await ask(backend, listChildren, { runId, ...after, limit: PAGE });
    for (const { runId: childId, status } of answer.children) {
      counts.set(status, (counts.get(status) ?? 0) + 1);
      if (status === "failed" && failed.length < FAILED_MAX) failed.push(childId);
    }
    total += answer.children.length;
    const { afterName, afterKey } = answer;
    after = afterName === null || afterKey === null ? undefined : { afterName, afterKey };
  }
  if (total === 0) return undefined;
  return {
    total,
    ...(after === undefined ? {} : { more: true }),
    counts: [...counts].map(([status, count]) => ({ status, count })),
    ...optional("failed", failed),
  };
}
