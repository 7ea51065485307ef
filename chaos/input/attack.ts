import { type AnyOperation, operations } from "@tidebase/core";
import fc from "fast-check";
import { type Case, casesOf, type Known, shapeOf } from "./cases.ts";
import type { HttpClient } from "./client.ts";
import { atRest, changedTables, type Fingerprint } from "./fingerprint.ts";
import { type Execute, goodInput } from "./good-input.ts";
import { callOf, type HttpAnswer, wrongOf } from "./http-call.ts";

/** What is attacked, and with what. */
export interface Target {
  readonly client: HttpClient;
  readonly execute: Execute;
  readonly webhookUrl: string;
  readonly seed: number;
}

/** What one operation answered. */
export interface Attacked {
  readonly tried: number;
  readonly admitted: number;
  readonly refused: number;
  /** With the seed and the shortest case that shows it. */
  readonly problem?: string;
}

const RENEW_AFTER = 100;

/** What a good call would say, made anew when an earlier call has used it up. */
function knownFor(operation: AnyOperation, { execute, webhookUrl }: Target) {
  let known: Promise<Known> | undefined;
  let uses = 0;
  return {
    get(): Promise<Known> {
      uses += 1;
      if (known === undefined || uses > RENEW_AFTER) {
        known = goodInput(execute, operation, { webhookUrl });
        uses = 0;
      }
      return known;
    },
    used({ status }: HttpAnswer) {
      if (status === 200 && operation.effect !== "read") known = undefined;
    },
    renew() {
      known = undefined;
    },
  };
}

/** Sends so many cases to an operation, or as many as there is time for; each must have a result or a problem. */
async function attack(
  operation: AnyOperation,
  target: Target,
  limits: { readonly cases: number; readonly ms: number },
): Promise<Attacked> {
  const known = knownFor(operation, target);
  const counts = { admitted: 0, refused: 0 };
  const property = fc.asyncProperty(casesOf(shapeOf(operation.input)), async (one) => {
    const answer = await target.client.send(callOf(operation, one, await known.get()));
    known.used(answer);
    if (answer.status === 200) counts.admitted += 1;
    else counts.refused += 1;
    const wrong = wrongOf(answer);
    if (wrong !== undefined) throw new Error(wrong);
  });
  const result = await checkFor(property, target.seed, limits);
  const tried = result.numRuns;
  if (!result.failed) return { tried, ...counts };
  const error = String(result.errorInstance).slice(0, 500);
  const shown = JSON.stringify(result.counterexample).slice(0, 1500);
  const where = `seed ${result.seed}, path ${result.counterexamplePath}`;
  return { tried, ...counts, problem: `${operation.name} (${where}): ${error} for ${shown}` };
}

/** However slow the machine is, so many are tried. */
const AT_LEAST = 20;

/** So many runs of the property, or as many as there is time for; a few at least. */
export async function checkFor<Value>(
  property: fc.IAsyncProperty<Value>,
  seed: number,
  { cases, ms }: { readonly cases: number; readonly ms: number },
): Promise<fc.RunDetails<Value>> {
  const since = performance.now();
  const few = await fc.check(property, { seed, numRuns: Math.min(cases, AT_LEAST) });
  const left = ms - (performance.now() - since);
  if (few.failed || cases <= AT_LEAST || left <= 0) return few;
  const more = await fc.check(property, {
    ...{ seed: seed + 1, numRuns: cases - AT_LEAST, markInterruptAsFailure: false },
    ...(Number.isFinite(left) && { interruptAfterTimeLimit: left }),
  });
  const numRuns = more.numRuns + few.numRuns;
  // Interrupted before its first run it says that it failed, without a case.
  return { ...(more.counterexample === null ? few : more), numRuns } as fc.RunDetails<Value>;
}

/** Sends cases to every operation, a few operations at a time, and tells of each when it is done. */
export async function attackAll(
  target: Target,
  limits: { readonly cases: number; readonly until: number },
  told: (operation: AnyOperation, attacked: Attacked) => void,
): Promise<void> {
  const left = [...operations];
  const LANES = 4;
  await Promise.all(
    Array.from({ length: LANES }, async () => {
      for (let operation = left.shift(); operation !== undefined; operation = left.shift()) {
        const share = (limits.until - Date.now()) / Math.ceil((left.length + 1) / LANES);
        const ms = Math.max(share, 200);
        told(operation, await attack(operation, target, { cases: limits.cases, ms }));
      }
    }),
  );
}

/** Refused calls of one operation, and what they did to the store. */
export interface Untouched {
  readonly refused: number;
  readonly problems: readonly string[];
  /** Changes that did not happen again: something else wrote meanwhile. */
  readonly unrepeated: number;
}

/**
 * Sends cases one by one and looks at the whole store around every refused one: nothing may change. What
 * changed is sent again on a store at rest before it counts, since a sweep may have written meanwhile.
 */
export async function untouched(
  operation: AnyOperation,
  target: Target,
  look: () => Promise<Fingerprint>,
  cases: number,
): Promise<Untouched> {
  const known = knownFor(operation, target);
  const problems: string[] = [];
  let [refused, unrepeated] = [0, 0];
  let before: Fingerprint | undefined;
  let about: Known | undefined;
  for (const one of fc.sample(casesOf(shapeOf(operation.input)), {
    seed: target.seed,
    numRuns: cases,
  })) {
    const good = await known.get();
    if (good !== about) before = undefined; // runs were made meanwhile
    about = good;
    const call = callOf(operation, one, good);
    before ??= await look();
    const answer = await target.client.send(call);
    known.used(answer);
    if (answer.status < 400) {
      before = undefined;
      continue;
    }
    refused += 1;
    const after = await look();
    const changed = changedTables(before, after);
    before = changed.length === 0 ? after : undefined;
    if (changed.length === 0) continue;
    const again = await changedAgain(target, { operation, one }, look, known);
    if (again === undefined) unrepeated += 1;
    else
      problems.push(
        `${operation.name} answered ${answer.status} and changed ${again.join(", ")}: ${call.method} ${call.path} ${call.body?.slice(0, 500) ?? ""}`,
      );
  }
  return { refused, problems: problems.slice(0, 2), unrepeated };
}

async function changedAgain(
  { client }: Target,
  { operation, one }: { readonly operation: AnyOperation; readonly one: Case },
  look: () => Promise<Fingerprint>,
  known: ReturnType<typeof knownFor>,
): Promise<string[] | undefined> {
  let changed: string[] = [];
  for (let round = 0; round < 2; round++) {
    known.renew();
    const call = callOf(operation, one, await known.get());
    const before = await atRest(look);
    const { status } = await client.send(call);
    if (status < 400) return undefined;
    changed = changedTables(before, await look());
    if (changed.length === 0) return undefined;
  }
  return changed;
}
