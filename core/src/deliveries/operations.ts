import { z } from "zod";
import { pageOf, readCursor } from "../cursor.ts";
import { operation } from "../operation.ts";
import { RunId } from "../runs/schema.ts";
import { WebhookId } from "../webhooks/schema.ts";
import { DELIVERY_STATUSES, Delivery, DeliveryId } from "./schema.ts";
import * as deliveries from "./sql.ts";

/*
 * pending → delivered, or dead once a day of attempts has failed; dead → pending when somebody asks for it.
 * The outbox is filled by the insert of the event itself. At least once, in no order; the id is stable.
 */

export const listDeliveries = operation({
  name: "deliveries.list",
  summary: "Messages to webhooks, newest first, filtered; a page at a time.",
  route: "GET /v1/deliveries",
  effect: "read",
  scope: "operate",
  fenced: false,
  because: "It only reads.",
  input: z.strictObject({
    status: z.enum(DELIVERY_STATUSES).optional(),
    webhookId: WebhookId.optional(),
    runId: RunId.optional(),
    limit: z.coerce.number().int().min(1).max(200).default(50),
    cursor: z.string().max(500).optional().describe("`nextCursor` of the page before."),
  }),
  output: z.strictObject({ deliveries: z.array(Delivery), nextCursor: z.string().nullable() }),
  errors: ["cursor_invalid"],
  async run({ db, fail }, { cursor, limit, ...filters }) {
    const after = cursor === undefined ? undefined : readCursor(cursor, filters);
    if (after === "invalid") throw fail("cursor_invalid");
    const rows = await db.many(
      filters.runId === undefined ? deliveries.list : deliveries.listOfRun,
      {
        ...filters,
        beforeAt: after?.[0],
        beforeId: after?.[1],
        limit: limit + 1,
      },
    );
    const { page, nextCursor } = pageOf(rows, ({ deliveryId }) => deliveryId, { limit, filters });
    return { deliveries: page, nextCursor };
  },
});

export const redeliver = operation({
  name: "deliveries.redeliver",
  summary: "Send a dead delivery again, or a webhook's dead ones, up to 1,000 at a time.",
  route: "POST /v1/deliveries/redeliver",
  effect: "write",
  scope: "operate",
  fenced: false,
  because: "An operator's act on messages; the run itself does not change.",
  input: z
    .strictObject({
      deliveryId: DeliveryId.optional(),
      webhookId: WebhookId.optional(),
    })
    .refine(
      ({ deliveryId, webhookId }) => (deliveryId === undefined) !== (webhookId === undefined),
      "send either a deliveryId or a webhookId",
    ),
  output: z.strictObject({
    redelivered: z.int(),
    more: z.boolean().describe("There may be others: ask again."),
  }),
  errors: ["delivery_not_found", "delivery_not_dead", "webhook_not_found"],
  async run({ db, fail }, { deliveryId, webhookId = "" }) {
    if (deliveryId === undefined) {
      const revived = await db.maybe(deliveries.redeliverAll, { webhookId });
      if (revived === undefined) throw fail("webhook_not_found", { webhookId });
      return { redelivered: revived.redelivered, more: revived.left };
    }
    const revived = await db.maybe(deliveries.redeliver, { deliveryId });
    if (revived === undefined) throw fail("delivery_not_found", { deliveryId });
    if (revived.outcome === "delivery_not_dead") throw fail(revived.outcome, { deliveryId });
    return { redelivered: 1, more: false };
  },
});
