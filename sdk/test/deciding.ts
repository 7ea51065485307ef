import { isTidebaseError, type TidebaseError } from "@tidebase/sdk";
import { expect } from "vitest";
import { type Actor, resolveGate } from "../../core/src/index.ts";
import type { TestServer } from "./support.ts";

/** A human at a terminal of this machine. */
const ada: Actor = { name: "ada", scopes: ["approve", "read"], via: "tty" };

/** Decides the gate as a human does, on what it says now. */
export async function decide(
  { db, tidebase }: TestServer,
  gateId: string,
  decision: "approved" | "rejected" = "approved",
  more: { readonly answer?: unknown; readonly note?: string } = {},
): Promise<void> {
  const { gate } = await tidebase.call("gates.get", { gateId });
  await db.core.execute(resolveGate, { gateId, decision, digest: gate.digest, ...more }, ada);
}

/** The id of the run's open gate of that name, once it is there. */
export async function openGate(
  { tidebase }: TestServer,
  runId: string,
  name: string,
  key = "",
): Promise<string> {
  const found = async () => {
    const { gates } = await tidebase.call("gates.list", { runId });
    return gates.find((gate) => gate.name === name && gate.key === key)?.gateId ?? "";
  };
  await expect.poll(found).not.toBe("");
  return found();
}

/** That the attempt ended by suspending, and its reason. */
export async function suspension(attempt: Promise<unknown>): Promise<TidebaseError> {
  const ended = await attempt.then(
    (result) => ({ result }),
    (error: unknown) => error,
  );
  if (!isTidebaseError(ended, "run_suspended"))
    throw new Error("The run was not suspended.", { cause: ended });
  return ended;
}

export async function statusOf({ tidebase }: TestServer, runId: string): Promise<string> {
  return (await tidebase.runs.get(runId)).run.status;
}

export async function eventTypes({ tidebase }: TestServer, runId: string): Promise<string[]> {
  const { events } = await tidebase.call("events.list", { runId });
  return events.map(({ type }) => type);
}
