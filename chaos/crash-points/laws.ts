import type { Delivered, FinalRead, Row } from "../history/evidence.ts";
import type { PointDatabase } from "./databases.ts";
import type { Line } from "./oracle-file.ts";

/** A step whose completion is recorded. */
export interface Recorded {
  readonly run: string;
  readonly step: string;
}

/** The steps that are recorded as completed now. */
export async function recordedSteps(database: PointDatabase): Promise<readonly Recorded[]> {
  const rows = await database.query(
    "select 'run_' || run_id as run, name as step from tidebase.steps where status = 'completed'",
  );
  return rows.map(({ run, step }) => ({ run: String(run), step: String(step) }));
}

/**
 * P1: executions after the completion was acknowledged, or after it was seen recorded when the worker was dead.
 * `seen` is what the store held at `at`, the moment of the look.
 */
export function repeats(
  lines: readonly Line[],
  seen: readonly { readonly at: number; readonly steps: readonly Recorded[] }[],
): string[] {
  const known = new Set<string>();
  return lines.flatMap((line) => {
    const { run, step, attempt } = line;
    const name = `${run} ${step}`;
    if (line.kind === "acknowledged") {
      known.add(name);
      return [];
    }
    const look = seen.find(({ at, steps }) => at < line.at && steps.some((one) => is(one, line)));
    if (!known.has(name) && look === undefined) return [];
    const why = known.has(name) ? "was acknowledged" : "was recorded";
    return [`step ${step} of ${run} ran again (attempt ${attempt}) after its completion ${why}`];
  });
}

function is(recorded: Recorded, { run, step }: Line): boolean {
  return recorded.run === run && recorded.step === step;
}

/** P9: a fire that made a run made one, and every run of a schedule belongs to a fire. */
export function brokenFires({ tables }: FinalRead): string[] {
  const fires = tables["schedule_fires"] ?? [];
  const made = fires.flatMap(({ run_id }) => (run_id === null ? [] : [String(run_id)]));
  const runs = (tables["runs"] ?? []).filter(({ schedule_id }) => schedule_id !== null);
  const twice = made.filter((id, i) => made.indexOf(id) !== i);
  const unfired = runs.filter(({ run_id }) => !made.includes(String(run_id)));
  return [
    ...twice.map((id) => `run ${id} belongs to two fires`),
    ...unfired.map(({ run_id }) => `run ${run_id} of a schedule belongs to no fire`),
  ];
}

/** P12: each message of the outbox is there, and what counts as delivered was received and signed. */
export function brokenDeliveries({ tables }: FinalRead, received: readonly Delivered[]): string[] {
  const rows = tables["deliveries"] ?? [];
  const hooks = (tables["webhooks"] ?? []).filter(
    (hook) => hook["every_run"] === true && hook["disabled_at"] === null,
  );
  const missing = hooks.flatMap((hook) =>
    (tables["events"] ?? [])
      .filter(({ type }) => isMessage(String(type), hook))
      .filter(
        ({ run_id, seq, type }) =>
          !rows.some(
            (row) => row["run_id"] === run_id && row["seq"] === seq && row["type"] === type,
          ),
      )
      .map(({ run_id, seq, type }) => `no delivery of ${type} (${run_id}, ${seq})`),
  );
  const got = new Set(received.filter(({ status }) => status === 204).map(({ id }) => id));
  const unheard = rows
    .filter(({ status, last_status }) => status === "delivered" && last_status !== null)
    .filter(
      ({ delivery_id }) => !got.has(String(delivery_id)) && !got.has(`delivery_${delivery_id}`),
    )
    .map(({ type }) => `a delivery of ${type} counts as delivered, and nobody got it`);
  const unsigned = received.filter(({ signed }) => !signed).map(({ id }) => `${id} is not signed`);
  return [...missing, ...unheard, ...unsigned];
}

function isMessage(type: string, hook: Row): boolean {
  const [noun = ""] = type.split(".");
  const events = hook["events"] as readonly string[];
  const isNoun = ["run", "gate", "recovery"].includes(noun);
  return isNoun && [type, `${noun}.*`, "*"].some((pattern) => events.includes(pattern));
}

/** P4: rows that no sweep will ever end, and connections that stand still. */
export function leftBehind({ tables, stuck }: FinalRead): string[] {
  const status = new Map((tables["runs"] ?? []).map((run) => [run["run_id"], run["status"]]));
  const isOver = ({ run_id }: Row) =>
    ["completed", "cancelled"].includes(String(status.get(run_id)));
  const openGates = (tables["gates"] ?? []).filter(
    (gate) => gate["status"] === "open" && isOver(gate),
  );
  const quarantined = tables["quarantine"] ?? [];
  return [
    ...openGates.map(({ name }) => `gate ${name} is open, and its run is over`),
    ...quarantined.map(({ sweep, last_error }) => `${sweep} has set a row aside: ${last_error}`),
    ...stuck.map(({ state, query }) => `a connection is ${state}: ${query}`),
  ];
}
