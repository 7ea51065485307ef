import { type AnyOperation, operations } from "@tidebase/core";
import fc from "fast-check";
import { type Case, casesOf, type Known, shapeOf } from "./cases.ts";
import type { HttpClient } from "./client.ts";
import { type Execute, goodInput } from "./good-input.ts";
import { callOf, type HttpAnswer, wrongOf } from "./http-call.ts";
import { knownFrom } from "./known.ts";

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

/**
 * Sends one case to an operation. A webhook that it has made or changed is disabled at once: thousands of them, each with a
 * message of every event, would make all that follows slow.
 */
export async function sendCase(
  operation: AnyOperation,
  { client, execute }: Target,
  one: Case,
  good: Known,
): Promise<HttpAnswer> {
  const answer = await client.send(callOf(operation, one, good));
  if (answer.status === 200 && operation.name.startsWith("webhooks.")) {
    const { webhookId } = JSON.parse(answer.text) as { readonly webhookId?: string };
    if (webhookId !== undefined) await execute("webhooks.update", { webhookId, disabled: true });
  }
  return answer;
}

/** Sends so many cases to an operation, or as many as there is time for; each must have a result or a problem. */
async function attack(
  operation: AnyOperation,
  target: Target,
  limits: { readonly cases: number; readonly ms: number },
): Promise<Attacked> {
  const known = knownFrom(() => goodInput(target.execute, operation, target));
  const counts = { admitted: 0, refused: 0 };
  const property = fc.asyncProperty(casesOf(shapeOf(operation.input)), async (one) => {
    const answer = await sendCase(operation, target, one, await known.get());
    const admitted = answer.status === 200;
    if (admitted) counts.admitted += 1;
    else counts.refused += 1;
    if (admitted && operation.effect !== "read") known.renew();
    const wrong = wrongOf(answer);
    if (wrong !== undefined) throw new Error(wrong);
  });
  const result = await checkFor(property, target.seed, limits);
  const tried = result.numRuns;
  if (!result.failed) return { tried, ...counts };
  const error = String(result.errorInstance).slice(0, 500);
  const shown = JSON.stringify(result.counterexample).slice(0, 1500);
  const where = `seed ${result.seed}, path ${result.counterexamplePath}`;
  return { tried, ...counts, problem: `(${where}) ${error} for ${shown}` };
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
