import type { getQueue } from "@tidebase/core";
import { z } from "zod";
import type { Plain } from "../answers/plain.ts";
import { Age, Instant, span } from "../answers/time.ts";
import { quote } from "../answers/untrusted.ts";
import { optional } from "./run-fields.ts";

/** A queue as the wire shows it. */
export type Queue = Plain<z.output<typeof getQueue.output>>["queue"];

/** A queue's name; core checks the rest. */
export const QueueName = z.string().min(1).max(100);

/** What somebody set; an absent limit is none. */
export const Settings = z
  .object({
    paused: z.boolean(),
    concurrency: z.int().optional(),
    keyConcurrency: z.int().optional(),
    ratePerMinute: z.int().optional(),
  })
  .describe("An absent limit is none.");

/** What every answer about a queue says of it in our words; `n` finds its name under `untrusted`. */
export const queueFields = {
  n: z.int(),
  ...Settings.shape,
  pausedAt: Instant.optional(),
  pushed: z.boolean().optional().describe("To a webhook; no worker claims."),
  ready: z.int(),
  delayed: z.int(),
  running: z.int(),
  waiting: z.int(),
  failed: z.int().describe("Dead letters."),
  oldestReadyAge: Age.optional(),
  workers: z.int().describe("Asked for work within a minute, or hold a run."),
};

/** The same queue in the words of others. */
export const foreignQueueFields = {
  n: z.int(),
  queue: z.string(),
  pausedBy: z.string().optional(),
  webhook: z.string().optional(),
};

/** The members of `Settings`. */
export function settingsOf(queue: Queue): z.output<typeof Settings> {
  const { pausedAt, concurrency, keyConcurrency, ratePerMinute } = queue;
  return {
    paused: pausedAt !== null,
    ...optional("concurrency", concurrency),
    ...optional("keyConcurrency", keyConcurrency),
    ...optional("ratePerMinute", ratePerMinute),
  };
}

/** The members of `queueFields`, numbered `n`. */
export function ofQueue(queue: Queue, n: number): z.output<z.ZodObject<typeof queueFields>> {
  const { ready, delayed, running, waiting, failed, oldestReadyMs, workers } = queue;
  return {
    n,
    ...settingsOf(queue),
    ...optional("pausedAt", queue.pausedAt),
    ...(queue.webhook === null ? {} : { pushed: true }),
    ...{ ready, delayed, running, waiting, failed },
    ...(oldestReadyMs === null ? {} : { oldestReadyAge: span(oldestReadyMs) }),
    workers,
  };
}

const NAME_LENGTH = 100;

/** The members of `foreignQueueFields`, numbered `n`. */
export function foreignOfQueue(
  { queue, pausedBy, webhook }: Queue,
  n: number,
): z.output<z.ZodObject<typeof foreignQueueFields>> {
  return {
    n,
    queue: quote(queue, NAME_LENGTH),
    ...(pausedBy === null ? {} : { pausedBy: quote(pausedBy, NAME_LENGTH) }),
    ...(webhook === null ? {} : { webhook: quote(webhook, NAME_LENGTH) }),
  };
}

/** Whether nothing is known of it: a queue exists as soon as it is named, so a wrong name is no error. */
export function isUnknown(queue: Queue): boolean {
  const { ready, delayed, running, waiting, failed, workers, webhook, pausedAt } = queue;
  const limits = [queue.concurrency, queue.keyConcurrency, queue.ratePerMinute];
  return (
    ready + delayed + running + waiting + failed + workers === 0 &&
    [webhook, pausedAt, ...limits].every((setting) => setting === null)
  );
}

/** Said of a queue that `isUnknown`. */
export const UNKNOWN = "Nothing is known of this queue. Check its name: tidebase_list_queues.";
