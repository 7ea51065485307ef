import { listRuns } from "@tidebase/core";
import { z } from "zod";
import { fit, TOKENS, Truncated, truncation } from "../answers/fit.ts";
import { ask, type Plain } from "../answers/plain.ts";
import { untrusted, untrustedOf } from "../answers/untrusted.ts";
import { READ_FOREIGN, tool } from "../tool.ts";
import { QueueName } from "./queue-fields.ts";
import {
  FailureClass,
  foreignOfRun,
  foreignRunFields,
  Hints,
  Name,
  ofRun,
  optional,
  runFields,
  Since,
  Status,
} from "./run-fields.ts";

const ERROR_LENGTH = 160;

type Page = Plain<z.output<typeof listRuns.output>>;

export const listRunsTool = tool({
  name: "tidebase_list_runs",
  title: "List runs",
  toolset: "runs",
  description:
    "Runs, newest first, one line each: status, age, failed attempts; workflow, queue, tags and error under untrusted. Filter by status, workflow, queue, tag, failureClass, error text or time. Page on with cursor = nextCursor and the same filters.",
  input: z.strictObject({
    status: z.array(Status).max(8).optional(),
    workflow: Name.optional(),
    queue: QueueName.optional(),
    tag: z.string().min(1).max(100).optional(),
    failureClass: FailureClass.optional(),
    search: z.string().min(2).max(200).optional().describe("Text within a run's error."),
    since: Since.optional().describe("Created at or after; ISO 8601 with zone."),
    until: Since.optional().describe("Created before."),
    limit: z.int().min(1).max(50).default(20),
    cursor: z.string().max(500).optional(),
  }),
  output: z.object({
    runs: z.array(z.object(runFields)),
    nextCursor: z.string().optional(),
    truncated: Truncated,
    untrusted: untrustedOf({ runs: z.array(z.object(foreignRunFields)) }).optional(),
    hints: Hints,
  }),
  annotations: READ_FOREIGN,
  async handler({ limit, ...filters }, { backend }) {
    const page = await ask(backend, listRuns, { ...filters, limit });
    const total = page.runs.length;
    let answer = answerOf(page, total);
    // The cursor follows the last row shown: what did not fit is asked again as a shorter page.
    while (answer.runs.length < answer.asked && answer.runs.length > 0) {
      const shorter = await ask(backend, listRuns, { ...filters, limit: answer.runs.length });
      answer = answerOf(shorter, total);
    }
    const { asked: _, ...shown } = answer;
    return shown;
  },
});

function answerOf(page: Page, total: number): { asked: number; runs: object[] } {
  const asked = page.runs.length;
  const answer = fit({ tokens: TOKENS.list, text: ERROR_LENGTH, rows: asked }, ({ text, rows }) => {
    const runs = page.runs.slice(0, rows);
    const foreign = runs.map((run) => foreignOfRun(run, text));
    return {
      runs: runs.map(ofRun),
      ...optional("nextCursor", page.nextCursor),
      ...truncation({ field: "runs", shown: runs.length, total }),
      ...(runs.length > 0
        ? { untrusted: untrusted({ runs: foreign }) }
        : { hints: [page.nextCursor === null ? NONE : NONE_YET] }),
    };
  });
  return { ...answer, asked };
}

const NONE_YET = "Nothing among the latest runs: go on with cursor = nextCursor.";
const NONE = "No run matches. Leave out a filter; workflow, queue and tag must be exact.";
