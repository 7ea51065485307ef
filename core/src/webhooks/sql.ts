import { fragment, statement } from "../statement.ts";

/** What lists show of a webhook `w`; counts stop where a larger number says nothing more. */
const entry = fragment`w.webhook_id, w.name, w.url, w.events as patterns, w.workflows, w.every_run, w.invokes, w.decides,
    w.created_at, w.disabled_at, w.disabled_reason, w.failures,
    case when w.previous_until > tidebase.now() then w.previous_until end as previous_until,
    case when w.closed_until > tidebase.now() then w.closed_until end as closed_until,
    (select count(*) from (select from tidebase.deliveries d
      where d.webhook_id = w.webhook_id and d.status = 'pending' limit 10000) waiting) as pending,
    (select count(*) from (select from tidebase.deliveries d
      where d.webhook_id = w.webhook_id and d.status = 'dead' limit 10000) given_up) as dead`;

/** A row of `entry`. */
export interface WebhookRow {
  readonly webhookId: string;
  readonly name: string;
  readonly url: string;
  readonly patterns: string[];
  readonly workflows: string[] | null;
  readonly everyRun: boolean;
  readonly invokes: boolean;
  readonly decides: boolean;
  readonly createdAt: string;
  readonly disabledAt: string | null;
  readonly disabledReason: string | null;
  readonly failures: number;
  readonly previousUntil: string | null;
  readonly closedUntil: string | null;
  readonly pending: number;
  readonly dead: number;
}

/** No row when the name is taken. */
export const create = statement<
  {
    webhookId: string;
    name: string;
    url: string;
    secret: string;
    patterns: readonly string[];
    workflows?: readonly string[] | undefined;
    everyRun: boolean;
    invokes: boolean;
    decides: boolean;
  },
  { webhookId: string }
>("webhooks.create")`
  insert into tidebase.webhooks (webhook_id, name, url, secret, events, workflows, every_run, invokes, decides, created_at)
  values ($webhook_id::uuid, $name::text, $url::text, $secret::text, $patterns::text[], $workflows::text[],
    $every_run::boolean, $invokes::boolean, $decides::boolean, tidebase.now())
  on conflict (name) do nothing returning webhook_id`;

/** In the order they were made. */
export const list = statement<{ afterId?: string | undefined; limit: number }, WebhookRow>(
  "webhooks.list",
)`
  select ${entry} from tidebase.webhooks w
   where w.webhook_id > coalesce($after_id::uuid, '00000000-0000-0000-0000-000000000000')
   order by w.webhook_id limit $limit::int`;

/** As `list` shows it. */
export const get = statement<{ webhookId: string }, WebhookRow>("webhooks.get")`
  select ${entry} from tidebase.webhooks w where w.webhook_id = $webhook_id::uuid`;

/** What is undefined stays. Whoever enables a webhook, or gives it another URL, gives it a fresh start. */
export const update = statement<
  {
    webhookId: string;
    url?: string | undefined;
    patterns?: readonly string[] | undefined;
    workflows?: readonly string[] | undefined;
    anyWorkflow: boolean;
    everyRun?: boolean | undefined;
    invokes?: boolean | undefined;
    decides?: boolean | undefined;
    disabled?: boolean | undefined;
  },
  { webhookId: string }
>("webhooks.update")`
  update tidebase.webhooks set url = coalesce($url::text, url), events = coalesce($patterns::text[], events),
    workflows = case when not $any_workflow::boolean then coalesce($workflows::text[], workflows) end,
    every_run = coalesce($every_run::boolean, every_run), invokes = coalesce($invokes::boolean, invokes),
    decides = coalesce($decides::boolean, decides),
    disabled_at = case $disabled::boolean when true then coalesce(disabled_at, tidebase.now()) when false then null
      else disabled_at end,
    disabled_reason = case $disabled::boolean when true then coalesce(disabled_reason, 'requested') when false then null
      else disabled_reason end,
    failures = case when $disabled::boolean is false or $url::text is not null then 0 else failures end,
    closed_until = case when $disabled::boolean is false or $url::text is not null then null else closed_until end
   where webhook_id = $webhook_id::uuid returning webhook_id`;

/** The secret until now signs as well for a while; the one before it no longer. */
export const rotate = statement<
  { webhookId: string; secret: string; keepOldMs: number },
  { previousUntil: string }
>("webhooks.rotate")`
  update tidebase.webhooks set secret = $secret::text, previous_secret = secret,
    previous_until = tidebase.now() + $keep_old_ms::bigint * interval '1 ms'
   where webhook_id = $webhook_id::uuid returning previous_until`;
