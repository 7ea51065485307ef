import {
  type Backend,
  type Examination,
  listDeliveries,
  listQueues,
  listSchedules,
  listWebhooks,
  overview,
} from "@tidebase/core";
import { count, plain, tidebaseLine } from "../output.ts";
import type { Answer } from "../run-text.ts";
import { type Check, lasting, ok, warn } from "./check.ts";

/** What the operations tell, of a store of one's own or of a server's. */
export interface StoreContext {
  readonly backend: Backend;
  /** Where the store's database is at hand: it tells more. */
  readonly examination?: Examination;
  /** This machine's clock, in milliseconds. */
  readonly machineNow: () => number;
}

const PAGE = 200;
const READY_MS = 60_000;
const LATE_MS = 60_000;
const GATE_MS = 7 * 86_400_000;

type ListedQueue = Answer<typeof listQueues>["queues"][number];

/** What lies still and needs somebody. */
export const storeChecks: readonly Check<StoreContext>[] = [
  {
    name: "leases",
    async look({ backend, examination }) {
      const lapsed = await (examination?.lapsed() ?? stalled(backend));
      if (lapsed.found === 0) return ok("Every running run has a worker.");
      return warn(
        `${count(lapsed.found, "run is", "runs are")} running without a worker, such as ${lapsed.runId}: no process ends what lost workers left.`,
        "Keep a server running: npx tidebase-server",
      );
    },
  },
  {
    name: "recovery",
    async look({ backend }) {
      const { counts, attention } = await backend.execute(overview, {});
      const [failed, interrupted] = [counts["failed"] ?? 0, counts["interrupted"] ?? 0];
      if (failed + interrupted === 0) return ok("No run waits for somebody to recover it.");
      const first = attention.find(({ status }) => status === "failed" || status === "interrupted");
      return warn(
        `${failed} failed and ${count(interrupted, "interrupted run")} wait for somebody${first === undefined ? "" : `, such as ${first.runId}`}.`,
        tidebaseLine(["runs", "list", "--status", "failed,interrupted"]),
      );
    },
  },
  {
    name: "gates",
    async look({ backend }) {
      const { openGates, oldestGateAt, now } = await backend.execute(overview, {});
      const age = oldestGateAt === null ? 0 : Date.parse(now) - Date.parse(oldestGateAt);
      if (age <= GATE_MS) return ok(`${count(openGates, "gate")} open, none for over a week.`);
      return warn(
        `A gate has been open for ${lasting(age)}, of ${openGates} open ones.`,
        tidebaseLine(["gates", "list"]),
      );
    },
  },
  {
    name: "queues",
    async look({ backend }) {
      const { queues } = await backend.execute(listQueues, { limit: PAGE });
      const idle = queues.filter(isUnattended);
      const [first] = idle;
      if (first === undefined)
        return ok(`${count(queues.length, "queue")}, none without a worker.`);
      return warn(
        `${count(first.ready, "run")} of the queue ${plain(first.queue)} ${first.ready === 1 ? "is" : "are"} ready and no worker asks${others(idle.length)}.`,
        tidebaseLine(["queues", "show", first.queue]),
      );
    },
  },
  {
    name: "paused queues",
    async look({ backend }) {
      const { queues } = await backend.execute(listQueues, { limit: PAGE });
      const held = queues.filter(
        ({ pausedAt, ready, delayed }) => pausedAt !== null && ready + delayed > 0,
      );
      const [first] = held;
      if (first === undefined) return ok("No paused queue holds runs back.");
      return warn(
        `The paused queue ${plain(first.queue)} holds back ${count(first.ready + first.delayed, "run")}${others(held.length)}.`,
        tidebaseLine(["queues", "resume", first.queue]),
      );
    },
  },
  {
    name: "schedules",
    async look({ backend }) {
      const { now } = await backend.execute(overview, {});
      const { schedules } = await backend.execute(listSchedules, { limit: PAGE });
      const resting = schedules.filter(
        ({ paused, failures, nextFireAt }) => !paused && failures > 0 && nextFireAt === null,
      );
      const [rests] = resting;
      if (rests !== undefined)
        return warn(
          `The schedule ${plain(rests.name)} failed five times and rests${others(resting.length)}: ${plain(rests.lastError ?? "")}`,
          tidebaseLine(["schedules", "resume", rests.name]),
        );
      const late = schedules.filter(
        ({ paused, nextFireAt }) =>
          !paused && nextFireAt !== null && Date.parse(nextFireAt) < Date.parse(now) - LATE_MS,
      );
      const [first] = late;
      if (first === undefined) return ok(`${count(schedules.length, "schedule")}, none late.`);
      return warn(
        `The schedule ${plain(first.name)} was due at ${first.nextFireAt} and nobody fired it${others(late.length)}.`,
        "Keep a server running: npx tidebase-server",
      );
    },
  },
  {
    name: "webhooks",
    async look({ backend }) {
      const { webhooks } = await backend.execute(listWebhooks, { limit: PAGE });
      const off = webhooks.filter(({ disabledAt }) => disabledAt !== null);
      const [first] = off;
      if (first === undefined)
        return ok(`${count(webhooks.length, "webhook")}, none of them disabled.`);
      return warn(
        `The webhook ${plain(first.name)} is disabled (${plain(first.disabledReason ?? "")})${others(off.length)}.`,
        tidebaseLine(["webhooks", "enable", first.webhookId]),
      );
    },
  },
  {
    name: "deliveries",
    async look({ backend }) {
      const { deliveries, nextCursor } = await backend.execute(listDeliveries, {
        status: "dead",
        limit: PAGE,
      });
      const [first] = deliveries;
      if (first === undefined) return ok("No message is dead.");
      const many = `${deliveries.length}${nextCursor === null ? "" : " or more"}`;
      return warn(
        `${many} dead ${deliveries.length === 1 ? "delivery" : "deliveries"}, the last to ${plain(first.webhook)}: ${first.lastStatus ?? plain(first.lastError ?? "")}`,
        tidebaseLine(["deliveries", "list", "--status", "dead"]),
      );
    },
  },
];

async function stalled(backend: Backend): Promise<{ found: number; runId: string | null }> {
  const { stalled: found, attention } = await backend.execute(overview, {});
  return { found, runId: attention.find(({ status }) => status === "running")?.runId ?? null };
}

/** Ready for a while, and nobody asks: busy workers do not ask either, so one that runs something counts. */
function isUnattended({
  pausedAt,
  ready,
  running,
  workers,
  webhook,
  oldestReadyMs,
}: ListedQueue): boolean {
  const waits = ready > 0 && (oldestReadyMs ?? 0) > READY_MS;
  return pausedAt === null && waits && workers === 0 && running === 0 && webhook === null;
}

function others(n: number): string {
  return n < 2 ? "" : `, and ${n - 1} more like it`;
}
