import { isDeepStrictEqual } from "node:util";
import fc from "fast-check";
import type { Target } from "./attack.ts";
import type { HttpClient } from "./client.ts";
import { type Execute, goodInput } from "./good-input.ts";
import { HOSTILE_TEXTS, hostile, UNSTORABLE } from "./hostile.ts";
import type { Ledger } from "./rows.ts";

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

/** A run with a lease, as calls about it name it. */
interface About {
  /** The path of the run. */
  readonly of: string;
  readonly lease: Readonly<Record<string, unknown>>;
  readonly fence: Readonly<Record<string, unknown>>;
  /** Somebody who may decide: it was not they who asked. */
  readonly decider: HttpClient;
}

type Keep = (client: HttpClient, text: string, about: About) => Promise<unknown>;

/** What else carries a payload; each answers what came back. */
const KEEPING: Readonly<Record<string, Keep>> = {
  async "a step's error"(client, text, { of, lease }) {
    const item = { ...lease, name: "failing", error: { [text]: text }, message: text };
    await ask(client, "/v1/steps/fail", { items: [item] });
    const { step } = await read(client, `${of}/step?name=failing`);
    return (step as { error: Record<string, unknown> }).error[text];
  },
  async "a signal"(client, text, { of, fence }) {
    await ask(client, `${of}/signals`, { name: "told", payload: text });
    const taking = { ...fence, name: "taking", signal: "told" };
    const { output } = await ask(client, `${of}/signals/take`, taking);
    return (output as { payload: unknown }).payload;
  },
  async "a gate's data and answer"(client, text, { of, fence, decider }) {
    const answerSchema = { type: "object", properties: { why: { type: "string" } } };
    const question = { ...fence, name: "asking", prompt: "p", data: { text }, answerSchema };
    const { gate } = await ask(client, `${of}/gates`, question);
    const { gateId, digest } = gate as { gateId: string; digest: string };
    const decision = { digest, decision: "approved", answer: { why: text } };
    await ask(decider, `/v1/gates/${gateId}/resolve`, decision);
    const decided = (await read(client, `/v1/gates/${gateId}`))["gate"];
    const { data, answer } = decided as { data: { text: string }; answer: { why: string } };
    return data.text === answer.why ? data.text : [data, answer];
  },
  async "a run's error"(client, text, { of, fence }) {
    await ask(client, `${of}/fail`, { ...fence, error: { message: text, stack: text } });
    const { run } = await read(client, of);
    return (run as { error: { message: string } }).error.message;
  },
};

/** Texts that Postgres keeps in no text come back from wherever else a payload goes; a run each. */
export async function keptElsewhere(
  { client, execute, webhookUrl }: Target,
  decider: HttpClient,
  ledger: Ledger,
): Promise<void> {
  for (const text of UNSTORABLE) {
    const known = await goodInput(execute, { name: "runs.get" }, { webhookUrl });
    const fence = { epoch: known["epoch"], grantId: known["grantId"] };
    const lease = { runId: known["runId"], ...fence };
    const about = { of: `/v1/runs/${String(lease.runId)}`, lease, fence, decider };
    for (const [title, keep] of Object.entries(KEEPING)) {
      const got = await keep(client, text, about).catch(String);
      const wrong = `${title} ${JSON.stringify(text)} came back as ${JSON.stringify(got)}`;
      ledger.tried("B6", got === text ? undefined : wrong.slice(0, 500));
    }
  }
}

async function post(client: HttpClient, path: string, body: string): Promise<void> {
  const { status, text } = await client.post(path, body);
  if (status !== 200 || (text.includes('"outcome"') && !/"outcome":"completed"/.test(text)))
    throw new Error(`${path} answered ${status} ${text.slice(0, 300)}`);
}

async function ask(client: HttpClient, path: string, body: object) {
  const { status, text } = await client.post(path, JSON.stringify(body));
  if (status !== 200) throw new Error(`${path} answered ${status} ${text.slice(0, 300)}`);
  return JSON.parse(text) as Record<string, unknown>;
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
