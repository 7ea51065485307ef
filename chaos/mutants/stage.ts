import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import type { Stage, StageContext, StageResult } from "../stage.ts";
import { change, copyTree } from "./copy.ts";
import { judge, nameOf, type Verdict } from "./harness.ts";
import type { Look, Mutant } from "./mutant.ts";
import { mutants } from "./mutants.ts";

/** The longest that one mutant may stay alive. */
const LONGEST_MS = 600_000;
/** A part of the harness sees little in less time. */
const LEAST_MS = 60_000;
/** Another mutant is begun only while so much of the time is left, and as much again for the control copy. */
const LIKELY_MS = 180_000;
/** The copy without a mutant is looked at so many times as long as it took to see the mutant. */
const LONGER = 3;
/** Between the seeds of two rounds: trials use the seeds that follow theirs. */
const STEP = 1000;

/** Something that was asked of a copy: the control copy is asked the same. */
interface Asked {
  readonly look: Look;
  readonly seed: number;
  readonly limitMs: number;
}

interface Death {
  readonly mutant: Mutant;
  readonly seconds: number;
  readonly asked: Asked;
  readonly why: string;
}

/** Puts known faults into copies of our server: the harness is worth what it sees of them. */
export const stage: Stage = {
  id: "mutants",
  title: "Seeded mutants of our own server, each of which the harness must see",
  async run(context: StageContext): Promise<StageResult> {
    const until = performance.now() + context.budgetMs;
    const left = () => (context.full ? LONGEST_MS : until - performance.now());
    const problems: string[] = [];
    const deaths: Death[] = [];
    let tried = 0;
    for (const mutant of inTurn(context)) {
      if (tried > 0 && left() < 2 * LIKELY_MS) break;
      tried += 1;
      const share = context.full ? LONGEST_MS : Math.min(LONGEST_MS, left() / 2);
      const death = await hunt(mutant, share, context, problems);
      if (death !== undefined) deaths.push(death);
    }
    await control(deaths, context, problems);
    const facts = Object.fromEntries(
      deaths.map(({ mutant, seconds, asked, why }) => [
        mutant.id,
        `${seconds} s, ${nameOf(asked.look)}: ${why}`,
      ]),
    );
    return { tried, promises: {}, problems, facts: { killed: deaths.length, ...facts } };
  },
};

/** All of them; another one first with each seed, where there is no time for all. */
function inTurn({ full, seed }: StageContext): Mutant[] {
  const first = full ? 0 : seed % mutants.length;
  return [...mutants.slice(first), ...mutants.slice(0, first)];
}

/** What killed the mutant; undefined when it lives, which is a problem. */
async function hunt(
  mutant: Mutant,
  limitMs: number,
  context: StageContext,
  problems: string[],
): Promise<Death | undefined> {
  const folder = join(context.folder, mutant.id);
  const since = performance.now();
  const spent = () => performance.now() - since;
  const blind: string[] = [];
  try {
    await prepare(folder, mutant);
    for (let round = 0; round === 0 || spent() < limitMs - LEAST_MS; round++)
      for (const [index, look] of mutant.looks.entries()) {
        const left = limitMs - spent();
        if (index > 0 && left < LEAST_MS) break;
        const share = Math.max(LEAST_MS, left / (mutant.looks.length - index));
        const asked = { look, seed: context.seed + round * STEP, limitMs: share };
        const verdict = await judge(folder, look, asked);
        tell(context, mutant.id, asked, verdict);
        if (verdict.colour === "broken")
          blind.push(`${nameOf(look)} could not judge it: ${verdict.why}`);
        if (verdict.colour === "red")
          return { mutant, seconds: Math.round(spent() / 1000), asked, why: verdict.why };
      }
    const places = mutant.looks.map(nameOf).join(", ");
    problems.push(
      `Mutant ${mutant.id} survived ${Math.round(spent() / 1000)} s of ${places} with seed ${context.seed}: ${mutant.fault}${blind.map((why) => ` (${why})`).join("")}`,
    );
    return undefined;
  } catch (error) {
    problems.push(`Mutant ${mutant.id} could not be made: ${String(error)}`);
    return undefined;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Whatever was red for a mutant must be green for the copy without one. */
async function control(
  deaths: readonly Death[],
  context: StageContext,
  problems: string[],
): Promise<void> {
  if (deaths.length === 0) return;
  const folder = join(context.folder, "control");
  try {
    await prepare(folder, undefined);
    for (const asked of questionsAfter(deaths)) {
      const verdict = await judge(folder, asked.look, asked);
      tell(context, "control", asked, verdict);
      if (verdict.colour !== "green")
        problems.push(
          `The control copy is ${verdict.colour} for ${nameOf(asked.look)} with seed ${asked.seed}: ${verdict.why}`,
        );
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Each question once. A profile comes to its end by itself. */
function questionsAfter(deaths: readonly Death[]): Asked[] {
  const questions = new Map<string, Asked>();
  for (const { asked, seconds } of deaths) {
    const key = `${nameOf(asked.look)} ${asked.seed}`;
    const enough = Math.max(LEAST_MS, LONGER * seconds * 1000, questions.get(key)?.limitMs ?? 0);
    const limitMs = "profile" in asked.look ? asked.limitMs : Math.min(asked.limitMs, enough);
    questions.set(key, { ...asked, limitMs });
  }
  return [...questions.values()];
}

async function prepare(folder: string, mutant: Mutant | undefined): Promise<void> {
  await mkdir(folder, { recursive: true });
  await copyTree(folder);
  if (mutant !== undefined) await change(folder, mutant.edits);
}

function tell(context: StageContext, id: string, { look, seed }: Asked, verdict: Verdict): void {
  const { colour, seconds, why } = verdict;
  context.told(`${id}: ${nameOf(look)}, seed ${seed}: ${colour} after ${seconds} s ${why}`.trim());
}
