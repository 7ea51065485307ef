import { isDeepStrictEqual } from "node:util";
import fc from "fast-check";
import type { HttpClient } from "./client.ts";
import { type Execute, goodInput } from "./good-input.ts";
import { HOSTILE_TEXTS, hostile } from "./hostile.ts";

/** Any JSON, of texts that a database or a terminal would rather not have. */
const payload = fc.oneof(
  hostile,
  fc.dictionary(
    fc.constantFrom(...HOSTILE_TEXTS),
    fc.constantFrom<unknown>(...HOSTILE_TEXTS, 0, null),
  ),
  fc.jsonValue({ maxDepth: 5, stringUnit: "binary" }),
);

/** What is nested deeper than a payload may be is another matter. */
const isTooDeep = (value: unknown) => JSON.stringify(value).includes("[".repeat(500));

/**
 * Payloads go through a step's output and through the state, and come back as they were: a completion is
 * never refused for the shape of its output. A sentence about the first that does not.
 */
export async function roundTrip(
  client: HttpClient,
  execute: Execute,
  {
    seed,
    cases,
    webhookUrl,
  }: { readonly seed: number; readonly cases: number; readonly webhookUrl: string },
): Promise<{ readonly tried: number; readonly problem?: string }> {
  const { runId, epoch, grantId } = await goodInput(execute, { name: "runs.get" }, { webhookUrl });
  const lease = { runId, epoch, grantId };
  let n = 0;
  const property = fc.asyncProperty(
    payload.filter((value) => !isTooDeep(value)),
    async (value) => {
      const step = `step ${n++}`;
      const sent = JSON.stringify(value);
      const item = JSON.stringify({ ...lease, name: step }).slice(0, -1);
      await post(client, "/v1/steps/complete", `{"items":[${item},"output":${sent}}]}`);
      const path = `/v1/runs/${String(runId)}/step?name=${encodeURIComponent(step)}`;
      same(value, (await read(client, path))["step"], "output");
      const write = JSON.stringify({ epoch, grantId, kind: "set", writeKey: step }).slice(0, -1);
      await post(client, `/v1/runs/${String(runId)}/state`, `${write},"value":${sent}}`);
      same(value, await read(client, `/v1/runs/${String(runId)}/state`), "value");
    },
  );
  const result = await fc.check(property, { seed, numRuns: cases });
  if (!result.failed) return { tried: result.numRuns };
  const shown = JSON.stringify(result.counterexample).slice(0, 500);
  const error = String(result.errorInstance).slice(0, 500);
  return { tried: result.numRuns, problem: `seed ${seed}: ${error} for ${shown}` };
}

async function post(client: HttpClient, path: string, body: string): Promise<void> {
  const { status, text } = await client.post(path, body);
  if (status !== 200 || (text.includes('"outcome"') && !/"outcome":"completed"/.test(text)))
    throw new Error(`${path} answered ${status} ${text.slice(0, 300)}`);
}

async function read(client: HttpClient, path: string): Promise<Record<string, unknown>> {
  const { status, text } = await client.get(path);
  if (status !== 200) throw new Error(`${path} answered ${status} ${text.slice(0, 300)}`);
  return JSON.parse(text) as Record<string, unknown>;
}

/** As JSON says it: −0 is 0 there. */
function same(sent: unknown, answer: unknown, member: string): void {
  const got: unknown = Reflect.get(answer as object, member);
  if (!isDeepStrictEqual(JSON.parse(JSON.stringify(sent)), got))
    throw new Error(`${member} came back as ${JSON.stringify(got)?.slice(0, 300)}`);
}
