import { randomUUID } from "node:crypto";
import { setMaxListeners } from "node:events";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { Violation } from "./checks/check.ts";
import { check, invalid } from "./checks/index.ts";
import { type Ended, type Evidence, type Fired, now } from "./history/evidence.ts";
import { readFinally } from "./history/final-read.ts";
import { openLog } from "./history/recorder.ts";
import type { Fault } from "./nemesis/fault.ts";
import { randomFor } from "./random.ts";
import { chooseFaults, dealFaults } from "./trial-faults.ts";
import { workloads } from "./workloads/index.ts";
import type { Workload } from "./workloads/workload.ts";
import type { Grounds } from "./world/grounds.ts";
import { CLIENT_LOG, openWorld } from "./world/open.ts";
import { untilAtRest } from "./world/rest.ts";
import type { World } from "./world/world.ts";

/** One seeded trial. */
export interface TrialOptions {
  readonly seed: number;
  readonly grounds: Grounds;
  /** Ids of the faults to deal; the seed chooses them by default. None: a control arm. */
  readonly faults?: readonly string[] | undefined;
  /** Ids of the workloads to drive; all by default. */
  readonly workloads?: readonly string[] | undefined;
  readonly loadMs?: number | undefined;
}

/** What a trial left behind, and what it proves. */
export interface Trial {
  readonly seed: number;
  /** Ids of the faults that were dealt. */
  readonly faults: readonly string[];
  /** Ids of the workloads that were driven. */
  readonly workloads: readonly string[];
  /** By its own checks too little happened for it to prove anything. */
  readonly invalid: readonly Violation[];
  readonly violations: readonly Violation[];
  /** The harness itself failed: a fault that would not fire or heal, a workload that threw. */
  readonly failures: readonly string[];
  readonly evidence: Evidence | undefined;
  /** Every incarnation of every process, with its last words. */
  readonly processes: readonly Ended[];
  readonly ms: number;
}

/** What is left undone says nothing where a fault was not healed, or the machine was too slow. */
const LIVENESS = "C13";
const LOAD_MS = 6_000;
/** Where faults take long to heal, what has come until then is enough to be worked off. */
const LONGEST_LOAD_MS = 20_000;
/** Calls that were under way when the load stopped may use up the client's own patience. */
const DRIVE_MS = 30_000;

/** Runs the trial to its end: world up, load and faults, healing, rest, final read, checks. Never throws. */
export async function runTrial(options: TrialOptions): Promise<Trial> {
  const { seed, grounds } = options;
  const startedAt = performance.now();
  const failures: string[] = [];
  const processes: Ended[] = [];
  const chosen = chooseFaults(seed, options.faults);
  const driven = workloads.filter(({ id }) => options.workloads?.includes(id) ?? true);
  let evidence: Evidence | undefined;
  let violations: readonly Violation[] = [];
  let lacks: readonly Violation[] = [];
  try {
    const folder = join(grounds.folder, `trial-${randomUUID()}`);
    const world = await openWorld({
      ...{ seed, grounds, folder },
      ended: (end) => void processes.push(end),
    });
    try {
      evidence = await live(world, options, { chosen, driven }, failures);
    } finally {
      await world.close();
    }
    evidence = { ...evidence, processes }; // those too that the end of the world has ended
    const isTold = (one: Violation) => failures.length === 0 || one.check !== LIVENESS;
    violations = check(evidence).filter(isTold);
    // A control arm is to show that nothing happens when nothing is hurt.
    const isCounted = ({ key }: Violation) => chosen.length > 0 || !["faults", "ops"].includes(key);
    lacks = invalid(evidence).filter(isCounted);
  } catch (error) {
    failures.push(error instanceof Error ? (error.stack ?? error.message) : String(error));
  }
  return {
    seed,
    faults: chosen.map(({ id }) => id),
    workloads: driven.map(({ id }) => id),
    invalid: lacks,
    violations,
    failures,
    evidence,
    processes,
    ms: performance.now() - startedAt,
  };
}

/** What the trial is made of. */
interface Cast {
  readonly chosen: readonly Fault[];
  readonly driven: readonly Workload[];
}

async function live(
  world: World,
  options: TrialOptions,
  { chosen, driven }: Cast,
  failures: string[],
): Promise<Evidence> {
  const { seed, loadMs = LOAD_MS } = options;
  const stopped = new AbortController();
  setMaxListeners(0, stopped.signal); // each pause of a workload has one
  const startedAt = now();
  const driving = drive(world, driven, stopped.signal, failures);
  const enough = setTimeout(() => stopped.abort(), LONGEST_LOAD_MS);
  let faults: readonly Fired[];
  try {
    faults = await dealFaults(world, chosen, randomFor(seed, "faults"), failures);
    await delay(Math.max(0, loadMs - (now() - startedAt)));
  } finally {
    clearTimeout(enough);
    stopped.abort();
    await driving;
  }
  const healedAt = now();
  const rest = await untilAtRest(world); // where it was stuck, C13 says what it means
  if (rest === "busy") failures.push("The store did not come to rest: is the machine too slow?");
  // Nobody asks anything after the read: what the workers hold they hand back.
  await Promise.all(world.workers.map((worker) => worker.signal("SIGTERM")));
  const readAt = now();
  const final = await readFinally(world);
  const ids = driven.map(({ id }) => id);
  return { seed, workloads: ids, ...(await world.collect()), faults, healedAt, readAt, final };
}

/** All these workloads at once, each with random numbers of its own; resolves when they have ended. */
async function drive(
  world: World,
  driven: readonly Workload[],
  stop: AbortSignal,
  failures: string[],
): Promise<void> {
  const log = openLog(join(world.folder, CLIENT_LOG), "client");
  const one = async (workload: Workload): Promise<void> => {
    const random = randomFor(world.seed, workload.id);
    const { recorded } = log.of(workload.id);
    try {
      await Promise.race([
        workload.drive({ world, random, stop, recorded }),
        tooLong(stop, `${workload.id} did not end ${DRIVE_MS / 1000} s after the load stopped.`),
      ]);
    } catch (error) {
      failures.push(`${workload.id}: ${error instanceof Error ? error.stack : String(error)}`);
    }
  };
  await Promise.all(driven.map(one));
  log.close();
}

function tooLong(stop: AbortSignal, message: string): Promise<never> {
  return new Promise((_, reject) => {
    const after = () => setTimeout(() => reject(new Error(message)), DRIVE_MS).unref();
    if (stop.aborted) after();
    else stop.addEventListener("abort", after, { once: true });
  });
}
