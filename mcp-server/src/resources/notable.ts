import { type Backend, listGates, listRuns } from "@tidebase/core";
import type { z } from "zod";
import { ask, type Plain } from "../answers/plain.ts";

type Runs = Plain<z.output<typeof listRuns.output>>["runs"];
type Gates = Plain<z.output<typeof listGates.output>>["gates"];

/** The newest runs that somebody may have to do something about. */
export async function notableRuns(backend: Backend, limit: number): Promise<Runs> {
  const status = ["failed", "interrupted", "waiting"] as const;
  return (await ask(backend, listRuns, { status: [...status], limit })).runs;
}

/** The newest runs, whatever became of them. */
export async function newestRuns(backend: Backend, limit: number): Promise<Runs> {
  return (await ask(backend, listRuns, { limit })).runs;
}

/** The open gates that have waited longest. */
export async function openGates(backend: Backend, limit: number): Promise<Gates> {
  return (await ask(backend, listGates, { limit })).gates;
}
