import { operations } from "@tidebase/core";
import { z } from "zod";
import type { Case, Known } from "./cases.ts";
import type { HttpClient } from "./client.ts";
import { type Execute, goodInput } from "./good-input.ts";
import { callOf, type HttpCall, wrongOf } from "./http-call.ts";
import type { Ledger } from "./rows.ts";
import { unchanged, type Watched } from "./untouched.ts";

/** Ids in paths, and one of each kind that names nothing. */
const NOTHING: Readonly<Record<string, string>> = {
  runId: "run_00000000-0000-7000-8000-000000000000",
  gateId: "gate_00000000-0000-7000-8000-000000000000",
  keyId: "key_00000000-0000-7000-8000-000000000000",
  webhookId: "webhook_00000000-0000-7000-8000-000000000000",
};

/** A call in which every member has its good value, where there is one that fits. */
export function goodCase(input: z.ZodObject, known: Known): Case {
  const fits = ([name, schema]: [string, z.core.$ZodType]) =>
    Object.hasOwn(known, name) && z.safeParse(schema, known[name]).success;
  const names = Object.entries(input.shape).filter(fits);
  const members = names.map(([name]) => [name, { good: true, value: undefined }]);
  return { kind: "valid", members: Object.fromEntries(members) };
}

/** Every route with an id in it answers an unknown one with 404, and a made-up one with 400. */
export async function unknownIds(
  client: HttpClient,
  execute: Execute,
  webhookUrl: string,
  watched: Watched,
): Promise<void> {
  const calls: { about: string; call: HttpCall; status: number }[] = [];
  for (const operation of operations) {
    const name = Object.keys(NOTHING).find((one) => operation.route.includes(`:${one}`));
    if (name === undefined) continue;
    const known = await goodInput(execute, operation, { webhookUrl });
    for (const [id, status] of [
      [NOTHING[name], 404],
      ["nothing", 400],
      ["%00", 400],
    ] as const) {
      const call = callOf(operation, goodCase(operation.input, known), { ...known, [name]: id });
      calls.push({ about: `${operation.name} of ${id}`, call, status });
    }
  }
  await unchanged(watched, "B16", "calls about nothing", async () => {
    for (const { about, call, status } of calls) {
      const answer = await client.send(call);
      const other = answer.status === status ? undefined : `${answer.status} instead of ${status}`;
      const said = wrongOf(answer) ?? other;
      const wrong = said && `${about}: ${said} ${answer.text.slice(0, 200)}`;
      watched.ledger.tried("B16", wrong);
    }
  });
}

const METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND", "SEARCH"];

/** Every path with every method that it does not answer to: 405 that names the right ones. */
export async function confusedMethods(client: HttpClient, ledger: Ledger): Promise<void> {
  const paths = new Map<string, Set<string>>();
  for (const { route } of operations) {
    const [method = "", template = ""] = route.split(" ");
    const path = template.replace(/:(\w+)/g, (_, name: string) => NOTHING[name] ?? "x");
    paths.set(path, (paths.get(path) ?? new Set()).add(method));
  }
  for (const [path, right] of paths)
    for (const method of METHODS) {
      if (right.has(method) || isOther(path, method, paths)) continue;
      const answer = await client.send({ method, path, body: undefined });
      const wrong = answer.status === 405 ? wrongOf(answer) : `${answer.status} instead of 405`;
      ledger.tried("B17", wrong === undefined ? undefined : `${method} ${path}: ${wrong}`);
    }
}

/** `/v1/runs/enqueue` is `/v1/runs/:runId` too, to another method. */
function isOther(path: string, method: string, paths: ReadonlyMap<string, ReadonlySet<string>>) {
  return [...paths].some(([other, methods]) => {
    const [own, theirs] = [path.split("/"), other.split("/")];
    const same =
      own.length === theirs.length && theirs.every((part, n) => part === own[n] || isFilled(part));
    return other !== path && same && methods.has(method);
  });
}

const isFilled = (part: string) => part === "x" || Object.values(NOTHING).includes(part);

type Confused = readonly [
  title: string,
  method: string,
  path: string,
  right: readonly number[],
  headers?: Readonly<Record<string, string>>,
];

/** `RUN` stands for the id of a run. */
const CONFUSED: readonly Confused[] = [
  [
    "an overridden method",
    "GET",
    "/v1/runs/RUN/cancel",
    [405],
    { "x-http-method-override": "POST" },
  ],
  ["a method in the query", "GET", "/v1/runs/RUN/cancel?_method=POST", [405]],
  ["a verb on a noun", "POST", "/v1/runs/RUN", [405], { "x-http-method": "DELETE" }],
  ["two slashes", "GET", "//v1/runs/RUN", [404]],
  ["two slashes inside", "GET", "/v1//runs/RUN", [404]],
  ["a slash at the end", "GET", "/v1/runs/RUN/", [404]],
  ["an encoded slash", "GET", "/v1%2fruns/RUN", [404]],
  ["an encoded slash in an id", "GET", "/v1/runs/RUN%2fcancel", [400, 404]],
  ["dots", "GET", "/v1/keys/../runs/RUN", [200, 404]],
  ["encoded dots", "GET", "/v1/keys/%2e%2e/runs/RUN", [200, 404]],
  ["another case", "GET", "/V1/RUNS/RUN", [404]],
  ["a matrix parameter", "GET", "/v1/runs/RUN;a=b", [400, 404]],
  ["a parameter twice", "GET", "/v1/gates?status=open&status=any", [400]],
  ["a path's parameter in the query", "GET", "/v1/runs/RUN?runId=other", [200]],
];

/** Paths and headers that other servers take for something else. */
export async function confusedPaths(
  client: HttpClient,
  runId: string,
  ledger: Ledger,
): Promise<void> {
  for (const [title, method, template, right, headers = {}] of CONFUSED) {
    const path = template.replace("RUN", runId);
    const answer = await client.send({ method, path, body: undefined }, headers);
    const other = `${answer.status} instead of ${right.join(" or ")} ${answer.text.slice(0, 100)}`;
    const wrong = right.includes(answer.status) ? wrongOf(answer) : other;
    ledger.tried("B17", wrong === undefined ? undefined : `${title}: ${wrong}`);
  }
}
