import { z } from "zod";
import { RunId, UUID } from "../runs/schema.ts";
import { WebhookId } from "../webhooks/schema.ts";

export const DeliveryId = z
  .string()
  .regex(new RegExp(`^delivery_${UUID}$`), "must be delivery_ and a lower-case uuid")
  .describe("Id of the delivery: the `webhook-id` header of every attempt.");

export const DELIVERY_STATUSES = ["pending", "delivered", "dead"] as const;

export const Delivery = z.strictObject({
  deliveryId: DeliveryId,
  webhookId: WebhookId,
  webhook: z.string().describe("Its name."),
  runId: RunId,
  seq: z.int().describe("The number of the run's event."),
  type: z.string(),
  status: z.enum(DELIVERY_STATUSES),
  attempts: z.int(),
  dueAt: z.iso.datetime().describe("Of the next attempt, while it is pending."),
  createdAt: z.iso.datetime(),
  expiresAt: z.iso.datetime().describe("Given up when an attempt fails whose next would be later."),
  endedAt: z.iso.datetime().nullable(),
  lastStatus: z.int().nullable().describe("HTTP status of the last answer."),
  lastError: z.string().nullable().describe("Why there was no answer, in one constant word."),
});
