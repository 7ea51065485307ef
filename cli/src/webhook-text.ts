import type { listDeliveries, listWebhooks } from "@tidebase/core";
import { type Cell, facts, type Paint, plain, seconds, table } from "./output.ts";
import type { Answer } from "./run-text.ts";

type Entry = Answer<typeof listWebhooks>["webhooks"][number];

/** `webhooks list`. */
export function webhooksText(paint: Paint, { webhooks }: Answer<typeof listWebhooks>): string {
  if (webhooks.length === 0) return "No webhooks.\n";
  const rows = webhooks.map((webhook): Cell[] => [
    webhook.webhookId,
    webhook.name,
    stateOf(webhook),
    webhook.events.join(","),
    extrasOf(webhook),
    String(webhook.pending),
    webhook.dead === 0 ? "0" : ["red", String(webhook.dead)],
    webhook.url,
  ]);
  return table(
    paint,
    ["WEBHOOK", "NAME", "STATE", "EVENTS", "ALSO", "PENDING", "DEAD", "URL"],
    rows,
  );
}

/** `webhooks update`: one webhook. */
export function webhookText(paint: Paint, webhook: Entry): string {
  const { webhookId, name, url, events, workflows, pending, dead } = webhook;
  const [colour, state] = stateOf(webhook);
  const extras = extrasOf(webhook);
  return facts(paint, [
    ["webhook", `${webhookId}  ${paint("bold", plain(name))}`],
    ["state", paint(colour, plain(state))],
    ["url", plain(url)],
    ["events", events.length === 0 ? "none" : plain(events.join(", "))],
    ["workflows", workflows === null ? "every one" : plain(workflows.join(", "))],
    ["also", extras === "" ? undefined : extras],
    ["backlog", `${pending} pending, ${dead} dead`],
  ]);
}

function stateOf(webhook: Entry): readonly ["red" | "yellow" | "green", string] {
  const { disabledAt, disabledReason, closedUntil, failures } = webhook;
  if (disabledAt !== null) return ["red", `disabled (${disabledReason ?? ""})`];
  if (closedUntil !== null) return ["yellow", `closed until ${seconds(closedUntil)}`];
  return failures === 0 ? ["green", "open"] : ["yellow", `open, ${failures} failed`];
}

function extrasOf({ everyRun, invokes, decides }: Entry): string {
  return [invokes && "invokes", decides && "decides", !everyRun && "named runs only"]
    .filter((word) => word !== false)
    .join(", ");
}

const STATUS_COLOURS = { pending: "yellow", delivered: "green", dead: "red" } as const;

/** `deliveries list`. */
export function deliveriesText(
  paint: Paint,
  { deliveries }: Answer<typeof listDeliveries>,
): string {
  if (deliveries.length === 0) return "No deliveries.\n";
  const rows = deliveries.map((delivery): Cell[] => [
    delivery.deliveryId,
    delivery.webhook,
    delivery.type,
    delivery.runId,
    [STATUS_COLOURS[delivery.status], delivery.status],
    String(delivery.attempts),
    String(delivery.lastStatus ?? delivery.lastError ?? ""),
    seconds(delivery.endedAt ?? delivery.dueAt),
  ]);
  const head = [
    "DELIVERY",
    "WEBHOOK",
    "EVENT",
    "RUN",
    "STATUS",
    "TRIES",
    "LAST ANSWER",
    "ENDED OR DUE",
  ];
  return table(paint, head, rows);
}
