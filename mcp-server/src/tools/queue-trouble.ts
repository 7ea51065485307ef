import { type Backend, listQueues } from "@tidebase/core";
import { z } from "zod";
import { ask } from "../answers/plain.ts";
import {
  foreignOfQueue,
  foreignQueueFields,
  ofQueue,
  type Queue,
  queueFields,
} from "./queue-fields.ts";
import { optional } from "./run-fields.ts";

const QUEUES_MAX = 200;
const SHOWN_MAX = 5;
/** A run that is ready for so long, in milliseconds, is one that nobody takes. */
const OLD_MS = 300_000;

const { n, paused, ready, delayed, running, failed, oldestReadyAge, workers } = queueFields;

/** What the overview says of queues; `n` finds their names. */
export const QueueTrouble = z
  .object({
    total: z.int(),
    inTrouble: z.int().describe("Dead letters, paused with runs in it, or ready for over 5 min."),
    worst: z
      .array(z.object({ n, paused, ready, delayed, running, failed, oldestReadyAge, workers }))
      .optional(),
  })
  .describe("The worst five, the longest waiting first.");

/** The same queues' names. */
export const ForeignQueueTrouble = z.array(
  z.object({ n: foreignQueueFields.n, queue: foreignQueueFields.queue }),
);

/** Of the first 200 queues by name. */
export interface FoundTrouble {
  readonly ours: z.output<typeof QueueTrouble>;
  readonly foreign: z.output<typeof ForeignQueueTrouble>;
  /** There are more than were looked at. */
  readonly more: boolean;
}

/** The queues that need somebody. */
export async function queueTrouble(backend: Backend): Promise<FoundTrouble> {
  const { queues, nextAfter } = await ask(backend, listQueues, { limit: QUEUES_MAX });
  const troubled = queues
    .filter(inTrouble)
    .sort((a, b) => (b.oldestReadyMs ?? 0) - (a.oldestReadyMs ?? 0) || b.failed - a.failed);
  const worst = troubled.slice(0, SHOWN_MAX);
  return {
    ours: {
      ...{ total: queues.length, inTrouble: troubled.length },
      ...optional("worst", worst.map(row)),
    },
    foreign: worst.map((queue, index) => ({
      n: index + 1,
      queue: foreignOfQueue(queue, index + 1).queue,
    })),
    more: nextAfter !== null,
  };
}

/** What to do about them. */
export function queueHints({ ours, more }: FoundTrouble): string[] {
  const hints: string[] = [];
  if (ours.worst?.some(({ failed }) => failed > 0) === true)
    hints.push("Dead letters: tidebase_list_runs with queue and status failed, then redrive.");
  if (ours.worst?.some(({ paused }) => paused) === true)
    hints.push("A paused queue holds runs back: tidebase_manage_queue resumes it.");
  if (ours.worst?.some(({ ready, workers }) => ready > 0 && workers === 0) === true)
    hints.push("A queue has ready runs and no worker: somebody has to start one.");
  if (more) hints.push("There are more queues than were looked at: tidebase_list_queues.");
  return hints;
}

function inTrouble({ failed, pausedAt, ready, delayed, oldestReadyMs }: Queue): boolean {
  return failed > 0 || (pausedAt !== null && ready + delayed > 0) || (oldestReadyMs ?? 0) > OLD_MS;
}

function row(queue: Queue, index: number) {
  const { n, paused, ready, delayed, running, failed, workers, ...rest } = ofQueue(
    queue,
    index + 1,
  );
  const oldest = optional("oldestReadyAge", rest.oldestReadyAge);
  return { n, paused, ready, delayed, running, failed, workers, ...oldest };
}
