import { TidebaseError } from "../errors.ts";
import { fenced } from "../leases/fenced.ts";
import { called } from "../steps/refusals.ts";
import { type Duration, milliseconds } from "./duration.ts";
import type { Waiting } from "./waiting.ts";
import type { OnWait } from "./waits.ts";

/** A moment: a Date, or what `new Date` reads. */
export interface Until {
  readonly until: Date | string;
}

/** How a sleep is named and spent. */
export interface SleepOptions {
  /** Tells sleeps of one name apart, in loops and in parallel. */
  readonly key?: string;
  readonly onWait?: OnWait;
}

/** `run.sleep`: the server keeps when it is over; once it is, the step is recorded. */
export async function sleeping(
  { connection, held, steps, waits }: Waiting,
  name: string,
  time: Duration | Until,
  { key = "", onWait }: SleepOptions = {},
): Promise<void> {
  const claimed = steps.claim(name, key);
  const what = `run.sleep(${JSON.stringify(name)}, …)`;
  const due =
    typeof time === "object" ? { until: moment(time, what) } : { ms: milliseconds(time, what) };
  if (claimed.entry !== undefined) return;
  const says = `sleep ${called({ name, key })}`;
  await waits.until({ timer: { name, key }, says }, onWait, async () => {
    const timer = { ...held.lease, name, key, ...due };
    const { leftMs } = await fenced(connection, held, "timers.set", timer);
    return leftMs > 0 ? { leftMs } : { value: undefined };
  });
  await steps.note(claimed, key);
}

function moment(time: Until | null, what: string): string {
  const date = new Date(time?.until ?? Number.NaN);
  if (Number.isFinite(date.getTime())) return date.toISOString();
  throw new TidebaseError("input_invalid", `${what}: \`until\` must be a Date or an ISO date.`);
}
