import { setTimeout as sleep } from "node:timers/promises";
import { isTidebaseError } from "@tidebase/sdk";
import { enqueue, type Once, SETUP_MS, withClient } from "./client.ts";
import { paced, percent } from "./pace.ts";
import type { Receiver } from "./receivers.ts";
import type { Load, Workload } from "./workload.ts";

const PER_SECOND = 1.2;
const EVENTS = ["run.completed", "run.failed", "run.cancelled", "run.suspended", "gate.*"];
const PAUSE_MS = 500;

/** Runs that tell two good endpoints and a bad one what happens to them. */
export const webhooks: Workload = {
  id: "W6",
  title: "webhooks to good and bad endpoints",
  drive: (load) =>
    withClient(load, load.world.keys.admin, (admin) =>
      withClient(load, load.world.keys.worker, async (once) => {
        const { good, bad } = load.world.receivers;
        const subscribed = Promise.all([...good, ...bad].map((one) => subscribe(load, admin, one)));
        await Promise.all([subscribed, paced(load, PER_SECOND, () => tell(load, once))]);
      }),
    ),
};

/** Only endpoints whose secret is known: nothing else could be proven of what they get. */
async function tell(load: Load, once: Once): Promise<void> {
  const isKnown = ({ secret }: Receiver) => secret !== undefined;
  const good = load.world.receivers.good.filter(isKnown);
  const bad = load.world.receivers.bad.filter(isKnown);
  if (good.length === 0) return;
  const left = load.random(good.length);
  const others = good.length === 1 ? good : good.filter((_, n) => n !== left);
  const chosen = [...others, ...bad.slice(load.random(bad.length + 1)).slice(0, 1)];
  await enqueue(load, once, {
    workflow: "tell",
    input: { asks: percent(load, 35) },
    webhooks: chosen.map(({ name }) => name),
    maxAttempts: 20,
  });
}

/** Until its secret is known: it is shown once, and where that answer was lost it is given another. */
async function subscribe(load: Load, admin: Once, receiver: Receiver): Promise<void> {
  const { name, url } = receiver;
  const webhook = { name, url, events: EVENTS, everyRun: false };
  while (receiver.secret === undefined && !load.stop.aborted) {
    await load.recorded({ f: "webhooks.create", key: name }, async () => {
      receiver.secret = await admin("webhooks.create", webhook, SETUP_MS)
        .then(({ secret }) => secret)
        .catch((error: unknown) => anotherSecret(admin, name, error));
      return { name };
    });
    if (receiver.secret === undefined) await sleep(PAUSE_MS);
  }
}

async function anotherSecret(admin: Once, name: string, error: unknown): Promise<string> {
  if (!isTidebaseError(error, "webhook_exists")) throw error;
  const { webhooks: all } = await admin("webhooks.list", {});
  const found = all.find((webhook) => webhook.name === name);
  if (found === undefined) throw error;
  return (await admin("webhooks.rotate", { webhookId: found.webhookId })).secret;
}
