import type { getSchedule, listFires, listSchedules } from "@tidebase/core";
import { type Cell, count, facts, type Paint, plain, seconds, table } from "./output.ts";
import type { Answer, Read } from "./run-text.ts";

type ListedSchedule = Read<Answer<typeof listSchedules>>["schedules"][number];
type ReadFire = Read<Answer<typeof listFires>>["fires"][number];

const OUTCOME_COLOURS = {
  fired: "green",
  caught_up: "green",
  manual: "cyan",
  skipped: "yellow",
} as const;

/** `schedules list`. */
export function schedulesText(
  paint: Paint,
  { schedules }: Read<Answer<typeof listSchedules>>,
): string {
  if (schedules.length === 0) return "No schedules.\n";
  const rows = schedules.map((schedule): Cell[] => [
    schedule.name,
    stateOf(schedule),
    schedule.cron,
    schedule.timezone,
    schedule.workflow,
    seconds(schedule.nextFireAt),
    schedule.lastFire === null ? "" : seconds(schedule.lastFire.fireAt),
    schedule.lastFire === null ? "" : outcomeOf(schedule.lastFire),
  ]);
  const head = ["SCHEDULE", "STATE", "CRON", "ZONE", "WORKFLOW", "NEXT", "LAST", "OUTCOME"];
  return table(paint, head, rows);
}

/** `schedules show`: one schedule, with its input where it was asked for. */
export function scheduleText(
  paint: Paint,
  schedule: ListedSchedule & Partial<Read<Answer<typeof getSchedule>>["schedule"]>,
): string {
  const { pausedAt, pausedBy, lastError, lastFire, nextFires, input, tags } = schedule;
  const [colour, state] = stateOf(schedule);
  const by = pausedAt === null ? "" : plain(` since ${seconds(pausedAt)} by ${pausedBy ?? ""}`);
  return facts(paint, [
    ["schedule", paint("bold", plain(schedule.name))],
    ["state", paint(colour, state) + by],
    ["last error", lastError === null ? undefined : plain(lastError)],
    ["cron", plain(`${schedule.cron}, ${schedule.timezone}`)],
    ["workflow", plain(schedule.workflow)],
    ["queue", plain(`${schedule.queue}, priority ${schedule.priority}`)],
    ["attempts", String(schedule.maxAttempts)],
    ["catch-up", schedule.catchUp],
    ["overlap", schedule.overlap],
    ["tags", tags.length === 0 ? undefined : plain(tags.join(", "))],
    ["input", input === undefined || input === null ? undefined : plain(JSON.stringify(input))],
    ["last fire", lastFire === null ? undefined : lastFireLine(paint, lastFire)],
    ...nextFires.map((at) => ["next fire", seconds(at)] as const),
  ]);
}

function stateOf({
  paused,
  nextFireAt,
}: ListedSchedule): readonly ["yellow" | "red" | "green", string] {
  if (paused) return ["yellow", "paused"];
  return nextFireAt === null ? ["red", "resting"] : ["green", "live"];
}

function outcomeOf({ outcome, reason }: ReadFire): readonly ["green" | "cyan" | "yellow", string] {
  return [OUTCOME_COLOURS[outcome], reason === null ? outcome : `${outcome} (${reason})`];
}

function lastFireLine(paint: Paint, fire: ReadFire): string {
  const [colour, outcome] = outcomeOf(fire);
  return `${seconds(fire.fireAt)}, ${paint(colour, outcome)}${fire.runId === null ? "" : `: ${fire.runId}`}`;
}

/** `schedules fires`. */
export function firesText(paint: Paint, { fires }: Read<Answer<typeof listFires>>): string {
  if (fires.length === 0) return "No fires.\n";
  const rows = fires.map((fire): Cell[] => [
    fire.count === 1 ? seconds(fire.fireAt) : `${seconds(fire.fireAt)} to ${seconds(fire.until)}`,
    fire.kind,
    outcomeOf(fire),
    count(fire.count, "fire"),
    fire.runId ?? "",
    seconds(fire.at),
  ]);
  return table(paint, ["FIRE", "KIND", "OUTCOME", "FIRES", "RUN", "RECORDED"], rows);
}
