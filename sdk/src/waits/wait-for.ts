import { TidebaseError } from "../errors.ts";
import { fenced } from "../leases/fenced.ts";
import { called } from "../steps/refusals.ts";
import { type Duration, milliseconds } from "./duration.ts";
import { type PayloadSchema, readPayload } from "./payload-schema.ts";
import type { Waiting } from "./waiting.ts";
import type { OnWait } from "./waits.ts";

/** What is waited for, and how long. */
export interface WaitForOptions<Payload = unknown> {
  /** Tells waits of one name apart, in loops and in parallel. */
  readonly key?: string;
  /** Name of the signal. Default: the name of the wait. */
  readonly signal?: string;
  /** Counted from the first time it is asked. Default: for ever. */
  readonly timeout?: Duration;
  /** Reads the payload: a zod schema, anything with `parse`, or a Standard Schema. */
  readonly schema?: PayloadSchema<Payload>;
  readonly onWait?: OnWait;
}

/** The signal's payload, or that none came in time. */
export type WaitOutcome<Payload = unknown> =
  | { readonly timedOut: false; readonly payload: Payload }
  | { readonly timedOut: true };

/** `run.waitFor`: the server takes the signal, or the timeout, and records the step at once. */
export async function waitingFor<Payload>(
  { connection, held, steps, waits }: Waiting,
  name: string,
  { key = "", signal = name, timeout, schema, onWait }: WaitForOptions<Payload> = {},
): Promise<WaitOutcome<Payload>> {
  const { entry } = steps.claim(name, key);
  const what = `run.waitFor(${JSON.stringify(name)}, …)`;
  const ms = timeout === undefined ? undefined : milliseconds(timeout, what);
  if (entry !== undefined) return outcomeOf(entry.output, schema, what);
  const step = { ...held.lease, name, key };
  const says = `signal "${signal}" at step ${called({ name, key })}`;
  const timed = ms === undefined ? {} : { timer: { name, key } };
  const output = await waits.until({ signal, ...timed, says }, onWait, async () => {
    // Asked again each time: how long is left is the server's to say.
    const timer =
      ms === undefined ? {} : await fenced(connection, held, "timers.set", { ...step, ms });
    const taken = await fenced(connection, held, "signals.take", { ...step, signal });
    return taken.outcome === "taken" ? { value: taken.output } : timer;
  });
  return outcomeOf(output, schema, what);
}

function outcomeOf<Payload>(
  output: unknown,
  schema: PayloadSchema<Payload> | undefined,
  what: string,
): WaitOutcome<Payload> | Promise<WaitOutcome<Payload>> {
  if (typeof output !== "object" || output === null)
    throw new TidebaseError("undecodable_output", `${what}: what is recorded is no signal.`);
  if ("timedOut" in output) return { timedOut: true };
  return read();

  async function read(): Promise<WaitOutcome<Payload>> {
    const { payload } = output as { payload: unknown };
    return { timedOut: false, payload: await readPayload(schema, payload, what) };
  }
}
