import { isDeepStrictEqual } from "node:util";
import {
  contradicts,
  cronProblem,
  type getSchedule,
  parseInput,
  putSchedule,
  TidebaseError,
} from "@tidebase/core";
import type { z } from "zod";
import type { Plain } from "../answers/plain.ts";
import { ToolFailure } from "../tool-error.ts";

/** What an upsert may say. */
export const CHANGES = [
  "workflow",
  "cron",
  "timezone",
  "queue",
  "input",
  "catchUp",
  "overlap",
] as const;
type Change = (typeof CHANGES)[number];

type Found = Plain<z.output<typeof getSchedule.output>>["schedule"];
type Wanted = z.input<typeof putSchedule.input> & { queue: string; timezone: string };
type Given = { readonly name: string } & { readonly [Name in Change]?: unknown };

/**
 * The whole content of the schedule, as it is to be: what is given, and else what it says already. Throws
 * when that makes no schedule, as the call itself would.
 */
export function planOf(
  found: Found | undefined,
  given: Given,
): { wanted: Wanted; changes: Change[] } {
  const said = CHANGES.filter((name) => given[name] !== undefined);
  const news = Object.fromEntries(said.map((name) => [name, given[name]]));
  const old = { timezone: "UTC", queue: "default", ...(found && contentOf(found)) };
  if (news["input"] !== undefined) Reflect.deleteProperty(old, "inputMeta"); // it said how to read the old one
  const wanted = { ...old, ...news, name: given.name } as Wanted;
  const missing = (["workflow", "cron"] as const).filter((name) => wanted[name] === undefined);
  if (missing.length > 0)
    throw refusal(`There is no such schedule, and ${missing.join(", ")} is missing.`);
  const { catchUp, overlap } = parseInput(putSchedule, wanted); // what the call itself would refuse
  checkCron(wanted);
  if (contradicts({ catchUp, overlap }))
    throw new TidebaseError("schedule_contradiction", { catchUp, overlap });
  const changes = said.filter((name) => !isDeepStrictEqual(news[name], found?.[name]));
  return { wanted, changes };
}

/** The members that `schedules.put` takes. */
function contentOf(found: Found): object {
  const { workflow, cron, timezone, queue, priority, maxAttempts, catchUp, overlap, tags } = found;
  const { input, inputMeta, metadata, deadlineMs } = found;
  const given = Object.entries({ input, inputMeta, metadata, deadlineMs });
  return {
    ...{ workflow, cron, timezone, queue, priority, maxAttempts, catchUp, overlap, tags },
    ...Object.fromEntries(given.filter(([, value]) => value !== null)),
  };
}

/** The problem in our words: what was given may have been copied from a run. */
function checkCron({ cron, timezone }: Wanted): void {
  let problem = cronProblem({ cron, timezone });
  if (problem === undefined) return;
  const words = cron.trim().split(/\s+/);
  for (const word of [words.join(" "), cron.trim(), ...words, timezone])
    problem = problem.replaceAll(JSON.stringify(word), "(as given)");
  throw refusal(problem);
}

function refusal(message: string): ToolFailure {
  return new ToolFailure({
    code: "input_invalid",
    message,
    fix: "Correct cron, timezone or workflow, and call again as a dry run.",
    retryable: false,
  });
}
