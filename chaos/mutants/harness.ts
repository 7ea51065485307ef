import { type ChildProcess, spawn } from "node:child_process";
import { join } from "node:path";
import { stripVTControlCharacters } from "node:util";
import { PROVES_NOTHING } from "../crash-points/tally.ts";
import { inherited } from "../world/config.ts";
import { harness } from "../world/leftovers.ts";
import type { Look } from "./mutant.ts";

/** What a part of the harness said of a copy. */
export interface Verdict {
  /** `broken`: it could not judge, so it has not seen anything. */
  readonly colour: "green" | "red" | "broken";
  /** The first thing that it found wrong, or why it could not judge. */
  readonly why: string;
  readonly seconds: number;
}

const SOURCE = ["--import", "tsx", "--conditions=tidebase-source"];
const VITEST = join("node_modules", "vitest", "vitest.mjs");
const TAIL = 200_000;
/** For what it does last: shrinking, and cleaning up. */
const PATIENCE_MS = 60_000;
const END_MS = 10_000;
/** Of a finding, at most. */
const WORDS = 400;

/** What the harness calls it, for people. */
export function nameOf(look: Look): string {
  if ("profile" in look) return `profile ${look.profile}`;
  const what = look.faults ?? look.loads;
  return what === undefined ? look.stage : `${look.stage} with ${what}`;
}

/**
 * Lets one part of the harness look at the copy, with this seed, for so many milliseconds. A stage is ended at its first
 * finding: what comes after that is not asked.
 */
export async function judge(
  folder: string,
  look: Look,
  { seed, limitMs }: { seed: number; limitMs: number },
): Promise<Verdict> {
  const since = performance.now();
  const child = spawn(process.execPath, commandOf(look, seed, limitMs), {
    cwd: folder,
    env: { ...inherited(), TIDEBASE_SEED: String(seed) },
    detached: true, // it and all that it starts are one group, to be ended together
    stdio: ["ignore", "pipe", "pipe"],
  });
  harness(child);
  const listening = listen(child, look);
  const closed = new Promise<"closed">((resolve) => child.once("close", () => resolve("closed")));
  const first = await within(limitMs + PATIENCE_MS, Promise.race([closed, listening.found]));
  const seconds = Math.round((performance.now() - since) / 100) / 10;
  await ended(child, "profile" in look && first === "found" ? PATIENCE_MS : 0, closed);
  const { finding, last } = listening.heard();
  if (finding !== undefined) return { colour: "red", why: finding, seconds };
  if (first === "late") return { colour: "broken", why: `it did not end: ${last}`, seconds };
  return {
    colour: child.exitCode === 0 ? "green" : "broken",
    why: child.exitCode === 0 ? "" : last,
    seconds,
  };
}

function commandOf(look: Look, seed: number, limitMs: number): string[] {
  if ("profile" in look) {
    const config = `chaos/profiles/${look.profile}.config.ts`;
    const files = look.file === undefined ? [] : [look.file];
    return [VITEST, "run", "--config", config, "--bail", "1", ...files];
  }
  const minutes = (limitMs / 60_000).toFixed(2);
  const told = ["--only", look.stage, "--seed", String(seed), "--minutes", minutes];
  const faults = look.faults === undefined ? [] : ["--faults", look.faults];
  const loads = look.loads === undefined ? [] : ["--loads", look.loads];
  return [...SOURCE, "chaos/main.ts", ...told, ...faults, ...loads];
}

/** Reads along for the first finding. */
function listen(child: ChildProcess, look: Look) {
  let said = "";
  let finding: string | undefined;
  let tell: (found: "found") => void = () => {};
  const found = new Promise<"found">((resolve) => {
    tell = resolve;
  });
  const heard = (chunk: string) => {
    said = (said + stripVTControlCharacters(chunk)).slice(-TAIL);
    finding ??= findingIn(said, look);
    if (finding !== undefined) tell("found");
  };
  child.stdout?.setEncoding("utf8").on("data", heard);
  child.stderr?.setEncoding("utf8").on("data", heard);
  const last = () => said.trim().split("\n").slice(-12).join(" | ").slice(-1500);
  return { found, heard: () => ({ finding, last: last() }) };
}

/** How a stage says, while it goes on, that something is wrong. */
const PROGRESS: Readonly<Record<string, RegExp>> = {
  trials: /^trials: seed \d+: (C\d+.*)\n/m,
  interleave: /^interleave: (problems with .+)\n/m,
  "crash-points": /^crash-points: ((?:sweep )?\S+ at \d+:\w+ \(.+\): .+)\n/m,
};

/** How a problem begins when the stage could not try what it was to try. */
const UNTRIED = ["seed \\d+: it threw", PROVES_NOTHING].join("|");

/**
 * The first thing found, in the harness's own words: a test that failed, a check that was violated in a trial, a problem
 * of a stage. A trial that is invalid, a stage or a trial that threw, processes that did not die where they were to, and a
 * test file that could not be run have found nothing.
 */
export function findingIn(said: string, look: Look): string | undefined {
  if ("profile" in look) return /^ *FAIL +(.+ > .+)\n/m.exec(said)?.[1];
  const early = PROGRESS[look.stage]?.exec(said)?.[1];
  if (early !== undefined || look.stage === "trials") return early?.slice(0, WORDS);
  const problem = new RegExp(`^${look.stage}: ✗ (?!${UNTRIED})(.+)\\n`, "m");
  return problem.exec(said)?.[1]?.slice(0, WORDS);
}

async function within<T>(ms: number, promise: Promise<T>): Promise<T | "late"> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<"late">((resolve) => {
    timer = setTimeout(() => resolve("late"), ms);
  });
  const first = await Promise.race([promise, late]);
  clearTimeout(timer);
  return first;
}

/** It cleans up after itself when it is asked to end; what is left after that is ended with its group. */
async function ended(
  child: ChildProcess,
  patienceMs: number,
  closed: Promise<unknown>,
): Promise<void> {
  if (patienceMs > 0) await within(patienceMs, closed);
  if (child.exitCode === null && child.signalCode === null) child.kill("SIGTERM");
  await within(END_MS, closed);
  try {
    process.kill(-(child.pid ?? 0), "SIGKILL");
  } catch {
    // nobody of the group is left
  }
}
