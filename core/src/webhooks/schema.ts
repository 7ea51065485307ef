import { z } from "zod";
import { Name } from "../payload.ts";
import { UUID } from "../runs/schema.ts";

export const WebhookId = z
  .string()
  .regex(new RegExp(`^webhook_${UUID}$`), "must be webhook_ and a lower-case uuid")
  .describe("Id of the webhook.");

export const WebhookName = Name.min(1).describe("How runs name the webhook.");

export const WebhookUrl = z
  .string()
  .min(1)
  .max(2000)
  .describe("Where messages go: https, on port 443 or 80, to a public address.");

/** The nouns whose events are messages; those of steps, state and usage are none. */
const PATTERN = /^(?:\*|(?:run|gate|recovery)\.(?:\*|[a-z][a-z_]{0,49}))$/;

export const Patterns = z
  .array(z.string().regex(PATTERN, "must be an event type of run, gate or recovery, run.*, or *"))
  .max(50)
  .describe("Which events are sent: `run.failed`, `gate.*`, `*`.");

export const Workflows = z
  .array(Name.min(1))
  .min(1)
  .max(100)
  .describe("Only runs of these workflows.");

/** What a webhook asks for besides its address. */
export const Flags = {
  everyRun: z.boolean().describe("Of every run; otherwise only of runs that name the webhook."),
  invokes: z
    .boolean()
    .describe("Gets `run.invoke` for runs that are ready, until somebody has begun them."),
  decides: z
    .boolean()
    .describe("Its `gate.opened` messages carry one-time codes and a link to decide with."),
};

/** A webhook as lists show it: without its secret. */
export const WebhookEntry = z.strictObject({
  webhookId: WebhookId,
  name: z.string(),
  url: z.string(),
  events: z.array(z.string()),
  workflows: z.array(z.string()).nullable(),
  everyRun: z.boolean(),
  invokes: z.boolean(),
  decides: z.boolean(),
  createdAt: z.iso.datetime(),
  disabledAt: z.iso.datetime().nullable(),
  disabledReason: z.string().nullable().describe("`requested`, or `gone`: it answered 410."),
  previousUntil: z.iso.datetime().nullable().describe("Until then the old secret signs as well."),
  failures: z.int().describe("Failures in a row."),
  closedUntil: z.iso.datetime().nullable().describe("After five failures: nothing is sent before."),
  pending: z.int().describe("Deliveries still to be made; counted up to 10,000."),
  dead: z.int().describe("Deliveries given up; counted up to 10,000."),
});
