import { CREATE, encode, type FixedRequest, get, type Held, post } from "./fixed-request.ts";

const LISTS = ["runs", "gates", "queues", "schedules", "keys", "webhooks"];
const LIMITS = ["0", "-1", "1e9", "abc", "", "0x10", "1.5", "9".repeat(19), " 1", "1,2", "NaN"];
const NUMBERS = ["1e400", "-1e400", "9007199254740993", "0.5", '"1"', "true", "[1]"];

/** Numbers that are out of range, or none. */
export function strangeNumbers(runId: string): FixedRequest[] {
  const job = (member: string) => `{"items":[{"workflow":"w",${member}}]}`;
  const run = (input: string) => `{"workflow":"w","input":${input}}`;
  return [
    ...LISTS.flatMap((noun) =>
      LIMITS.map((limit) => get("B13", limit, `/v1/${noun}?limit=${encode(limit)}`, [400])),
    ),
    get("B13", "two limits", "/v1/runs?limit=1&limit=2", [400]),
    ...["priority", "delayMs", "maxAttempts", "ttlMs"].flatMap((name) =>
      NUMBERS.map((text) =>
        post("B13", `${name} ${text}`, "/v1/runs/enqueue", job(`"${name}":${text}`), [400]),
      ),
    ),
    get("B13", "a version of nothing", `/v1/runs/${runId}/state?version=99999`, [404]),
    get("B13", "a negative event", `/v1/runs/${runId}/events?afterSeq=-1`, [400]),
    post("B7", "1e400 in a payload", CREATE, run("1e400"), [400]),
    post("B7", "400 digits", CREATE, run("9".repeat(400)), [400]),
    post("B7", "2^53 + 1", CREATE, run("9007199254740993"), [200]),
    post("B7", "19 decimal places", CREATE, run("1.0000000000000000001"), [200]),
    post("B7", "minus zero", CREATE, run("-0"), [200]),
    post("B7", "a NaN token", CREATE, run("NaN"), [400]),
  ];
}

const MOMENTS = [
  ...["2026-02-30T00:00:00Z", "0000-00-00T00:00:00Z", "+275760-09-13T00:00:00.001Z", ""],
  ...["2026-06-30T23:59:60Z", "yesterday", "2026-01-01T00:00:00"],
];

/** Of these none is an instant that a store keeps. */
const ABSURD = ["1969-12-31T23:59:59Z", "9000-01-01T00:00:00Z", "9999-12-31T23:59:59Z"];

/** Instants that never were, and spans of nothing or of for ever. What is past is due at once. */
export function strangeMoments({ runId, ...fence }: Held): FixedRequest[] {
  const later = `/v1/runs/${runId}/deadline`;
  const job = (runAt: string) => ({ items: [{ workflow: "w", queue: "past", runAt }] });
  const timers = `/v1/runs/${runId}/timers`;
  const timer = (more: object) => ({ ...fence, name: "t", ...more });
  return [
    ...[...MOMENTS, ...ABSURD].map((runAt) =>
      post("B14", `runAt ${runAt}`, "/v1/runs/enqueue", job(runAt), [400]),
    ),
    ...ABSURD.map((until) => post("B14", `until ${until}`, timers, timer({ until }), [400])),
    ...[1e18, -1, 0, 0.5].map((deadlineMs) =>
      post("B14", `another deadline ${deadlineMs}`, later, { ...fence, deadlineMs }, [400]),
    ),
    post("B14", "runAt in the past", "/v1/runs/enqueue", job("1970-01-01T00:00:00Z"), [200]),
    post("B14", "until in the past", timers, timer({ until: "1970-01-01T00:00:00Z" }), [200]),
    ...MOMENTS.map((at) => get("B14", `since ${at}`, `/v1/runs?since=${encode(at)}`, [400])),
    ...MOMENTS.map((until) => post("B14", `until ${until}`, timers, timer({ until }), [400])),
    ...[1e18, -1, 0.5, "1"].map((ms) => post("B14", `${ms} ms`, timers, timer({ ms }), [400])),
    ...[1e18, -1, 0].map((deadlineMs) =>
      post("B14", `deadline ${deadlineMs}`, CREATE, { workflow: "w", deadlineMs }, [400]),
    ),
  ];
}

const CRONS = [
  ...["*/0 * * * *", "* * * * * * *", "@reboot", "", "\u0661 * * * *", "60 * * * *", "* * * *"],
  ...["0 0 30 2 *", `${"1,".repeat(200_000)}1 * * * *`, "a b c d e"],
];
const ZONES = ["Europe/Nowhere", "", "../UTC", "\0"];

/** Expressions and zones of which no schedule can be made. */
export function strangeCrons(): FixedRequest[] {
  const schedule = (cron: string, more: object = {}) => ({
    ...{ name: "strange", workflow: "w", cron, ...more },
  });
  const path = "/v1/schedules";
  return [
    ...CRONS.map((cron) => post("B15", cron, path, schedule(cron), [400, 422])),
    ...ZONES.map((timezone) =>
      post("B15", `zone ${timezone}`, path, schedule("@daily", { timezone }), [400, 422]),
    ),
  ];
}

const POSITIONS = ["abc", "-1", "1.5", "1e3", "9".repeat(20), "", "0x1", "1 2"];

/** Positions in a stream that are none. */
export function strangePositions(runId: string): FixedRequest[] {
  const stream = `/v1/runs/${runId}/events/stream`;
  const nothing = "/v1/runs/run_00000000-0000-7000-8000-000000000000/events/stream";
  return [
    ...POSITIONS.map((after) =>
      get("B20", `after ${after}`, `${stream}?after=${encode(after)}`, [400]),
    ),
    ...POSITIONS.filter((id) => id !== "").map((id) =>
      get("B20", `Last-Event-ID ${id}`, stream, [400], { "last-event-id": id }),
    ),
    get("B20", "of no run", nothing, [404]),
  ];
}
