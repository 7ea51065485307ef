import { type AnyOperation, operations, type Scope } from "@tidebase/core";
import type { HttpClient } from "../input/client.ts";
import { changesOf, type Fingerprint } from "../input/fingerprint.ts";
import { type Execute, goodInput } from "../input/good-input.ts";
import { callOf, type HttpAnswer, type HttpCall } from "../input/http-call.ts";
import { goodCase } from "../input/routes.ts";
import type { Caller } from "./callers.ts";
import { NEVER, OTHER_PATHS } from "./reach.ts";

/** What the matrix found. */
export interface Found {
  tried: number;
  /** Calls that were let in and did what they say. */
  done: number;
  readonly problems: string[];
}

/** What of the store and the server the matrix needs. */
export interface MatrixWorld {
  readonly callers: readonly Caller[];
  readonly execute: Execute;
  readonly webhookUrl: string;
  look(): Promise<Fingerprint>;
}

/** Refusals of the act itself, not of the caller's key: a human's proof is missing, or who asks may not answer. */
const OF_THE_ACT = [
  "gate_needs_human",
  "gate_own_run",
  "gate_assurance_too_low",
  "gate_code_invalid",
];

/** Operations that no call here can do, and why: that a key lets them in shows in how they are refused. */
const NEVER_DONE: Readonly<Record<string, string>> = {
  "gates.form": "in a store with keys every gate asks for more than a form",
};

/** Every operation in the name of every caller: the refused first, which change nothing, and then the others. */
export async function tryOperations(world: MatrixWorld): Promise<Found> {
  const found: Found = { tried: 0, done: 0, problems: [] };
  for (const operation of operations) {
    const { execute, webhookUrl, callers } = world;
    const known = await goodInput(execute, operation, { webhookUrl });
    const input = goodCase(operation.input, known);
    const call = callOf(operation, input, known);
    const admitted = callers.filter((caller) => mayReach(caller, operation));
    const refused = callers.filter((one) => !admitted.includes(one));
    const changed = await changesOf(world.look, async () => {
      for (const caller of refused)
        note(
          found,
          operation,
          caller,
          await caller.client.send(call),
          refusalOf(caller, operation),
        );
    });
    if (changed.length > 0)
      found.problems.push(`Refused calls of ${operation.name} changed ${changed.join(", ")}.`);
    const doneBefore = found.done;
    let last: HttpAnswer | undefined;
    for (const caller of admitted) {
      const own = await goodInput(execute, operation, { webhookUrl });
      last = await caller.client.send(callOf(operation, input, own));
      note(found, operation, caller, last, undefined);
    }
    if (found.done === doneBefore && NEVER_DONE[operation.name] === undefined)
      found.problems.push(
        `${operation.name} was done by nobody: ${last?.status} ${last?.text.slice(0, 200)}`,
      );
  }
  return found;
}

/** By the hand-written table: any of the scopes must be free to reach it. */
function mayReach({ refusedAs, scopes }: Caller, { name }: AnyOperation): boolean {
  return refusedAs === undefined && scopes.some((scope) => !NEVER[scope].includes(name));
}

/** The exact status and code of a refusal. */
interface Expected {
  readonly status: number;
  readonly code: string;
  readonly scope?: Scope;
}

function refusalOf({ refusedAs }: Caller, { scope }: AnyOperation): Expected {
  if (refusedAs !== undefined) return { status: 401, code: refusedAs };
  return { status: 403, code: "scope_missing", scope };
}

function note(
  found: Found,
  { name, errors }: Pick<AnyOperation, "name" | "errors">,
  caller: Caller,
  answer: HttpAnswer,
  expected: Expected | undefined,
): void {
  found.tried += 1;
  const about = `${name} with ${caller.name}: ${answer.status} ${answer.text.slice(0, 200)}`;
  const { code, scope } = problemOf(answer);
  if (expected !== undefined) {
    const fits = answer.status === expected.status && code === expected.code;
    if (!fits || (expected.scope !== undefined && scope !== expected.scope))
      found.problems.push(`${about} instead of ${JSON.stringify(expected)}`);
    return;
  }
  if (answer.status === 200) found.done += 1;
  else if (answer.status === 401 || answer.status >= 500 || code === "scope_missing")
    found.problems.push(`${about} although the key may`);
  else if (
    answer.status === 403 &&
    !(OF_THE_ACT.includes(code) && (errors as readonly string[]).includes(code))
  )
    found.problems.push(`${about} is no refusal that it declares`);
}

function problemOf({ text }: HttpAnswer): { readonly code: string; readonly scope?: string } {
  try {
    return JSON.parse(text) as { code: string; scope?: string };
  } catch {
    return { code: "" };
  }
}

/** What is no operation, in the name of every caller. */
export async function tryOtherPaths(world: MatrixWorld): Promise<Found> {
  const found: Found = { tried: 0, done: 0, problems: [] };
  const nothing = "run_00000000-0000-7000-8000-000000000000";
  for (const { method, path, needs } of OTHER_PATHS)
    for (const caller of world.callers) {
      const call: HttpCall = { method, path: path.replace(":runId", nothing), body: undefined };
      const answer = await caller.client.send(call);
      found.tried += 1;
      const may = needs === "nothing" || caller.scopes.includes(needs);
      const letIn = answer.status !== 401 && answer.status !== 403;
      if (may === letIn) found.done += may ? 1 : 0;
      else found.problems.push(`${method} ${path} with ${caller.name}: ${answer.status}`);
      const tells = path === "/ready" && /"(?:sweeps|store)"/.test(answer.text);
      if (tells && !caller.scopes.includes("read"))
        found.problems.push(`${path} tells ${caller.name} about the store`);
    }
  return found;
}

/**
 * The gate pages in the name of nobody: no page session, so nothing is shown to decide and nothing is decided.
 * A key that may not approve begins none.
 */
export async function tryPages(
  client: HttpClient,
  gateId: string,
  { callers, look }: MatrixWorld,
): Promise<Found> {
  const found: Found = { tried: 0, done: 0, problems: [] };
  const form = { "content-type": "application/x-www-form-urlencoded" };
  const posts = [
    `/gates/${gateId}/decide`,
    `/gates/${gateId}/code`,
    `/gates/${gateId}/redeem`,
    "/gates/session",
  ];
  const bodies = [
    "",
    "decision=approved",
    "decision=approved&token=x&digest=x",
    "token=x",
    "key=tb_x",
  ];
  const post = async (path: string, body: string) => {
    const { status, text } = await client.post(path, body, form);
    found.tried += 1;
    if (status < 400 || status >= 500)
      found.problems.push(`POST ${path} of nobody: ${status} ${text.slice(0, 100)}`);
  };
  const changed = await changesOf(look, async () => {
    for (const path of posts) for (const body of bodies) await post(path, body);
    for (const { key, scopes } of callers)
      if (key !== undefined && !scopes.includes("approve"))
        await post("/gates/session", `key=${key}`);
  });
  if (changed.length > 0) found.problems.push(`Posts of nobody changed ${changed.join(", ")}.`);
  return found;
}

/** The paths that the server describes are those that were tried: none is forgotten. */
export async function undescribed(client: HttpClient): Promise<string[]> {
  const { text } = await client.get("/openapi.json");
  const { paths } = JSON.parse(text) as { paths: Record<string, Record<string, unknown>> };
  const described = Object.entries(paths).flatMap(([path, methods]) =>
    Object.keys(methods).map(
      (method) => `${method.toUpperCase()} ${path.replace(/\{(\w+)\}/g, ":$1")}`,
    ),
  );
  const tried = [
    ...operations.map(({ route }) => route as string),
    ...OTHER_PATHS.map(({ method, path }) => `${method} ${path}`),
  ];
  const isTried = (one: string) =>
    tried.some((other) => other === one || one.startsWith("GET /v1/errors/"));
  return described
    .filter((one) => !isTried(one))
    .map((one) => `Nobody tried ${one}, which the server describes.`);
}
