import { type Backend, getQueue, listQueues } from "@tidebase/core";
import { z } from "zod";
import { fit, TOKENS, Truncated, truncation } from "../answers/fit.ts";
import { cursorAfter, nameIn } from "../answers/name-cursor.ts";
import { ask, type Plain } from "../answers/plain.ts";
import { Age, age, Instant } from "../answers/time.ts";
import { quote, quoteJson, untrusted, untrustedOf } from "../answers/untrusted.ts";
import { READ, tool } from "../tool.ts";
import {
  foreignOfQueue,
  foreignQueueFields,
  isUnknown,
  ofQueue,
  QueueName,
  queueFields,
  UNKNOWN,
} from "./queue-fields.ts";
import { Hints, optional } from "./run-fields.ts";

const ForeignWorker = z.object({
  workerId: z.string(),
  version: z.string().optional(),
  holder: z.string().optional(),
});

export const listQueuesTool = tool({
  name: "tidebase_list_queues",
  title: "List queues",
  toolset: "ops",
  description:
    "Queues by name: depth, limits, paused or not, dead letters (failed), oldest ready, workers; names under untrusted, by n. With queue: that one and its workers.",
  input: z.strictObject({
    queue: QueueName.optional(),
    limit: z.int().min(1).max(50).default(20),
    cursor: z.string().max(500).optional(),
  }),
  output: z.object({
    queues: z.array(z.object(queueFields)),
    workers: z
      .array(z.object({ workerId: z.string(), seenAt: Instant, age: Age }))
      .optional()
      .describe("Of the one queue, the latest first."),
    nextCursor: z.string().optional(),
    truncated: Truncated,
    untrusted: untrustedOf({
      queues: z.array(z.object(foreignQueueFields)),
      workers: z.array(ForeignWorker).optional(),
    }).optional(),
    hints: Hints,
  }),
  annotations: READ,
  async handler({ queue, limit, cursor }, { backend }) {
    if (queue !== undefined) return await presentOne(backend, queue);
    const after = cursor === undefined ? "" : nameIn(cursor);
    const page = await ask(backend, listQueues, { after, limit });
    const { queues, nextAfter } = page;
    return fit({ tokens: TOKENS.list, text: 100, rows: queues.length }, ({ rows }) => {
      const shown = queues.slice(0, rows);
      const next = shown.length < queues.length ? (shown.at(-1)?.queue ?? null) : nextAfter;
      return {
        queues: shown.map((row, index) => ofQueue(row, index + 1)),
        ...(next === null ? {} : { nextCursor: cursorAfter(next) }),
        ...truncation({ field: "queues", shown: shown.length, total: queues.length }),
        ...(shown.length === 0
          ? { hints: ["No queue is here: a queue exists as soon as a run is put into it."] }
          : {
              untrusted: untrusted({
                queues: shown.map((row, index) => foreignOfQueue(row, index + 1)),
              }),
            }),
      };
    });
  },
});

type One = Plain<z.output<typeof getQueue.output>>;

async function presentOne(backend: Backend, name: string): Promise<object> {
  const { queue, workers } = await ask(backend, getQueue, { queue: name });
  return fit({ tokens: TOKENS.list, text: 100, rows: workers.length }, ({ text, rows }) => {
    const shown = workers.slice(0, rows);
    return {
      queues: [ofQueue(queue, 1)],
      ...optional(
        "workers",
        shown.map(({ workerId, seenAt }) => ({ workerId, seenAt, age: age(seenAt) })),
      ),
      ...truncation({ field: "workers", shown: shown.length, total: workers.length }),
      untrusted: untrusted({
        queues: [foreignOfQueue(queue, 1)],
        ...optional(
          "workers",
          shown.map((worker) => foreignOfWorker(worker, text)),
        ),
      }),
      ...(isUnknown(queue) ? { hints: [UNKNOWN] } : {}),
    };
  });
}

function foreignOfWorker(
  { workerId, version, holder }: One["workers"][number],
  text: number,
): z.output<typeof ForeignWorker> {
  return {
    workerId,
    ...(version === null ? {} : { version: quote(version, text) }),
    ...(holder === null ? {} : { holder: quoteJson(holder, text) }),
  };
}
