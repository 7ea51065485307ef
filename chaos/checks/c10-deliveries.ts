import type { Delivered, Evidence, Row } from "../history/evidence.ts";
import { calls } from "./calls.ts";
import type { Check, Violation } from "./check.ts";
import { type Entry, logs } from "./log.ts";
import { bare, deletedRuns, grouped, indexed, instant, list, rows, text } from "./rows.ts";

const ID = "C10";
const MESSAGES = /^(?:run|gate|recovery)\./;
/** An event of the moment in which the webhook was made may have come before it. */
const CREATION_MS = 1000;

/** Every message that an event owes is in the outbox, and what the outbox calls delivered has arrived. */
export const deliveries: Check = {
  id: ID,
  promises: ["P12"],
  rule: "Each event has its deliveries, each delivered one was received and signed; nothing is received that was not owed.",
  find: (evidence) => [...unsent(evidence), ...unreceived(evidence), ...unowed(evidence)],
};

function failure(row: { run: string }, message: string): Violation {
  return { check: ID, key: row.run, message };
}

/** The outbox is filled in the commit of the event: so there is no event without its deliveries. */
function unsent(evidence: Evidence): Violation[] {
  const outbox = new Set(rows(evidence, "deliveries").map(messageKey));
  const runs = indexed(evidence, "runs", "run_id");
  const named = new Set(
    rows(evidence, "run_webhooks").map(
      (row) => `${bare(row["run_id"])} ${bare(row["webhook_id"])}`,
    ),
  );
  const live = rows(evidence, "webhooks").filter((row) => row["disabled_at"] === null);
  return [...logs(evidence)].flatMap(([run, log]) => {
    const follows = (webhook: Row): boolean => {
      const workflows = webhook["workflows"];
      const isMeant = !Array.isArray(workflows) || workflows.includes(runs.get(run)?.["workflow"]);
      const isNamed = named.has(`${run} ${bare(webhook["webhook_id"])}`);
      return runs.has(run) && isMeant && (webhook["every_run"] === true || isNamed);
    };
    return live.filter(follows).flatMap((webhook) => {
      const owed = log.filter((entry) => wants(webhook, entry));
      const missing = owed.filter(
        ({ seq, type }) => !outbox.has(`${bare(webhook["webhook_id"])} ${run} ${seq} ${type}`),
      );
      return missing.map(({ seq, type }) =>
        failure(
          { run },
          `Event ${seq}, ${type}, of ${run} has no delivery to ${text(webhook["name"])}.`,
        ),
      );
    });
  });
}

function messageKey(row: Row): string {
  return `${bare(row["webhook_id"])} ${bare(row["run_id"])} ${text(row["seq"])} ${text(row["type"])}`;
}

function wants(webhook: Row, { type, at }: Entry): boolean {
  const patterns = [type, `${type.split(".")[0]}.*`, "*"];
  const isWanted = list(webhook["events"]).some((event) => patterns.includes(text(event)));
  const since = (instant(webhook["created_at"]) ?? 0) + CREATION_MS;
  return MESSAGES.test(type) && isWanted && at > since;
}

/** `run.invoke` is delivered by the begin of its run, whoever told it to begin. */
function unreceived(evidence: Evidence): Violation[] {
  const received = grouped(evidence.deliveries, ({ id }) => bare(id));
  const isTaken = ({ status }: Delivered) => status >= 200 && status < 300;
  return rows(evidence, "deliveries").flatMap((row) => {
    const id = bare(row["delivery_id"]);
    if (row["type"] === "run.invoke" || row["status"] !== "delivered") return [];
    if (received.get(id)?.some(isTaken) === true) return [];
    return [
      failure({ run: bare(row["run_id"]) }, `Delivery ${id} is called delivered, and was not.`),
    ];
  });
}

/** Since when each receiver has known its secret: it is in the answer to the creation of its webhook. */
function secretsOf(evidence: Evidence): Map<string, number> {
  const made = calls(evidence, "webhooks.create").filter(({ type }) => type === "ok");
  return new Map(made.toReversed().map(({ key, to }) => [key, to]));
}

function unowed(evidence: Evidence): Violation[] {
  const outbox = indexed(evidence, "deliveries", "delivery_id");
  const deleted = deletedRuns(evidence);
  const secrets = secretsOf(evidence);
  return evidence.deliveries.flatMap(({ at, id, receiver, runId, type, signed }) => {
    const run = bare(runId);
    const row = outbox.get(bare(id));
    if (!signed && at > (secrets.get(receiver) ?? Number.POSITIVE_INFINITY))
      return [failure({ run }, `${id} came to ${receiver} without a good signature.`)];
    if (row === undefined)
      return deleted.has(run)
        ? []
        : [failure({ run }, `${id} came to ${receiver}, and is not in the outbox.`)];
    const isSame = bare(row["run_id"]) === run && row["type"] === type;
    return isSame ? [] : [failure({ run }, `${id} came to ${receiver} as ${type} of ${run}.`)];
  });
}
