import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import type { Operations } from "@tidebase/sdk";
import { type Once, repeated, SETUP, SETUP_MS, withClient } from "./client.ts";
import { paced } from "./pace.ts";
import type { Load, Workload } from "./workload.ts";

type Schedule = Operations["schedules.put"]["input"];

const MANUAL_PER_SECOND = 0.2;
const SHARED = { workflow: "tick", queue: "cron", maxAttempts: 20 };

const SCHEDULES: readonly Schedule[] = [
  { ...SHARED, name: "each-second", cron: "* * * * * *", overlap: "allow", catchUp: "all" },
  { ...SHARED, name: "each-second-skip", cron: "* * * * * *", overlap: "skip", catchUp: "latest" },
  { ...SHARED, name: "each-other", cron: "*/2 * * * * *", overlap: "cancel", catchUp: "none" },
  {
    ...SHARED,
    name: "each-third",
    cron: "1-59/3 * * * * *",
    timezone: "Europe/Berlin",
    overlap: "allow",
    catchUp: "latest",
  },
];

/** What fires late is given so long to catch up before it is paused; C7 says whether it did. */
const CATCH_UP_MS = 8000;
const LOOK_EVERY_MS = 300;
const BEHIND = `
  select name from tidebase.schedules
   where name = any ($1) and failures < 5 and next_fire_at < tidebase.now() - interval '2 seconds'`;

/** Schedules that fire each second or third, triggered by hand besides, and paused at the end. */
export const cron: Workload = {
  id: "W4",
  title: "schedules",
  drive: (load) =>
    withClient(load, load.world.keys.worker, async (once) => {
      await Promise.all(SCHEDULES.map((schedule) => put(load, once, schedule)));
      await paced(load, MANUAL_PER_SECOND, (nth) => trigger(load, once, nth));
      await caughtUp(load);
      await Promise.all(SCHEDULES.map(({ name }) => rest(load, once, name)));
    }),
};

/** The same again changes nothing: two do it at once, and again while nothing answers for long. */
async function put(load: Load, once: Once, schedule: Schedule): Promise<void> {
  const { name: key, cron: expression } = schedule;
  const op = { f: "schedules.put", key, value: { cron: expression } };
  const call = async () => {
    const { outcome } = await once("schedules.put", schedule, SETUP_MS);
    return { cron: expression, outcome };
  };
  await Promise.all([repeated(load, op, call, SETUP), repeated(load, op, call, SETUP)]);
}

async function trigger(load: Load, once: Once, nth: number): Promise<void> {
  const { name } = SCHEDULES[nth % SCHEDULES.length] as Schedule;
  const idempotencyKey = randomUUID();
  const op = { f: "schedules.trigger", key: name, value: { idempotencyKey } };
  await repeated(load, op, () => once("schedules.trigger", { name, idempotencyKey }));
}

async function caughtUp({ world }: Load): Promise<void> {
  const names = SCHEDULES.map(({ name }) => name);
  const until = performance.now() + CATCH_UP_MS;
  while (performance.now() < until) {
    const behind = await world.query(BEHIND, [names]).catch(() => undefined); // Postgres is away
    if (behind?.length === 0) return;
    await sleep(LOOK_EVERY_MS);
  }
}

async function rest(load: Load, once: Once, name: string): Promise<void> {
  const op = { f: "schedules.pause", key: name };
  await repeated(
    load,
    op,
    async () => {
      const { paused } = (await once("schedules.update", { name, paused: true })).schedule;
      return { paused };
    },
    { mustBe: true },
  );
}
