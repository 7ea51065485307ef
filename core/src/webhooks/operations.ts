import { v7 as uuid } from "uuid";
import { z } from "zod";
import { operation } from "../operation.ts";
import {
  Flags,
  Patterns,
  WebhookEntry,
  WebhookId,
  WebhookName,
  WebhookUrl,
  Workflows,
} from "./schema.ts";
import { newSecret } from "./secret.ts";
import * as webhooks from "./sql.ts";

/*
 * An administrator makes webhooks; runs only name them, so no other key ever chooses where a message goes.
 * A webhook is open, closed for a while after five failures in a row, or disabled. None is ever deleted:
 * deliveries, which say what happened, belong to it.
 */

const Secret = z
  .string()
  .describe("Signs messages (Standard Webhooks); this answer is the only time it is shown.");

export const createWebhook = operation({
  name: "webhooks.create",
  summary: "Make a webhook; the answer is the only time its secret is shown.",
  route: "POST /v1/webhooks",
  effect: "write",
  scope: "admin",
  fenced: false,
  because: "It concerns no run.",
  input: z.strictObject({
    name: WebhookName,
    url: WebhookUrl,
    events: Patterns.default([]),
    workflows: Workflows.optional(),
    everyRun: Flags.everyRun.default(true),
    invokes: Flags.invokes.default(false),
    decides: Flags.decides.default(false),
  }),
  output: z.strictObject({ webhookId: WebhookId, name: z.string(), secret: Secret }),
  errors: ["webhook_url_refused", "webhook_exists"],
  async run({ db, checkUrl, fail }, { events: patterns, ...given }) {
    const reason = await checkUrl(given.url);
    if (reason !== undefined) throw fail("webhook_url_refused", { reason });
    const webhookId = `webhook_${uuid()}`;
    const secret = newSecret();
    const made = await db.maybe(webhooks.create, { ...given, patterns, webhookId, secret });
    const { name } = given;
    if (made === undefined) throw fail("webhook_exists", { name });
    return { webhookId, name, secret };
  },
});

export const listWebhooks = operation({
  name: "webhooks.list",
  summary: "The webhooks with their state and backlog, without their secrets.",
  route: "GET /v1/webhooks",
  effect: "read",
  scope: "admin",
  fenced: false,
  because: "It only reads.",
  input: z.strictObject({
    afterId: WebhookId.optional(),
    limit: z.coerce.number().int().min(1).max(200).default(100),
  }),
  output: z.strictObject({ webhooks: z.array(WebhookEntry) }),
  errors: [],
  run: async ({ db }, page) => ({ webhooks: (await db.many(webhooks.list, page)).map(entryOf) }),
});

export const updateWebhook = operation({
  name: "webhooks.update",
  summary: "Change a webhook, disable or enable it; what is left out stays as it is.",
  route: "POST /v1/webhooks/:webhookId",
  effect: "write",
  scope: "admin",
  fenced: false,
  because: "It concerns no run.",
  input: z.strictObject({
    webhookId: WebhookId,
    url: WebhookUrl.optional(),
    events: Patterns.optional(),
    workflows: Workflows.nullish().describe("Null: of every workflow."),
    everyRun: Flags.everyRun.optional(),
    invokes: Flags.invokes.optional(),
    decides: Flags.decides.optional(),
    disabled: z
      .boolean()
      .optional()
      .describe("A disabled webhook gets nothing, and of that time nothing later."),
  }),
  output: WebhookEntry,
  errors: ["webhook_not_found", "webhook_url_refused"],
  async run({ db, checkUrl, fail }, { events: patterns, workflows, ...given }) {
    const { webhookId, url } = given;
    const reason = url === undefined ? undefined : await checkUrl(url);
    if (reason !== undefined) throw fail("webhook_url_refused", { reason });
    const changed = await db.maybe(webhooks.update, {
      ...given,
      patterns,
      workflows: workflows ?? undefined,
      anyWorkflow: workflows === null,
    });
    if (changed === undefined) throw fail("webhook_not_found", { webhookId });
    return entryOf(await db.one(webhooks.get, { webhookId }));
  },
});

export const rotateWebhook = operation({
  name: "webhooks.rotate",
  summary: "Give a webhook a new secret; for a while the old one signs as well.",
  route: "POST /v1/webhooks/:webhookId/rotate",
  effect: "write",
  scope: "admin",
  fenced: false,
  because: "It concerns no run.",
  input: z.strictObject({
    webhookId: WebhookId,
    keepOldMs: z.int().min(0).max(604_800_000).default(86_400_000),
  }),
  output: z.strictObject({
    webhookId: WebhookId,
    secret: Secret,
    previousUntil: z.iso.datetime().describe("Until then every message carries both signatures."),
  }),
  errors: ["webhook_not_found"],
  async run({ db, fail }, { webhookId, keepOldMs }) {
    const secret = newSecret();
    const rotated = await db.maybe(webhooks.rotate, { webhookId, secret, keepOldMs });
    if (rotated === undefined) throw fail("webhook_not_found", { webhookId });
    return { webhookId, secret, previousUntil: rotated.previousUntil };
  },
});

function entryOf({ patterns, ...webhook }: webhooks.WebhookRow): z.output<typeof WebhookEntry> {
  return { ...webhook, events: patterns };
}
