import { type AnyOperation, ERRORS, type ErrorCode } from "@tidebase/core";
import { z } from "zod";
import { operationRoutes, STREAM_PATH } from "./routes.ts";

/** What any request may meet before its operation runs. */
const ALWAYS = [
  "input_invalid",
  "key_missing",
  "key_invalid",
  "scope_missing",
  "host_refused",
  "origin_refused",
  "outcome_unknown",
  "store_unavailable",
  "internal",
] as const satisfies readonly ErrorCode[];

const WITH_BODY = [
  "json_malformed",
  "number_out_of_range",
  "content_type_unsupported",
  "body_too_large",
  "input_refused",
] as const satisfies readonly ErrorCode[];

type Json = Record<string, unknown>;

/** The API as OpenAPI 3.1, read from the registry: every operation with its schemas and errors. */
export function openApi(version: string): Json {
  const paths: Record<string, Json> = {};
  for (const { operation, method, path } of operationRoutes) {
    const address = path.replace(/:(\w+)/g, "{$1}");
    paths[address] = { ...paths[address], [method.toLowerCase()]: describe(operation, path) };
  }
  paths[STREAM_PATH.replace(":runId", "{runId}")] = { get: describeStream() };
  return {
    openapi: "3.1.0",
    info: {
      title: "Tidebase",
      version,
      description:
        "A durable record of agent runs. Every failure is a problem document (RFC 9457) whose `code` says what happened and whose `detail` says what to do next.",
    },
    servers: [{ url: "http://127.0.0.1:7373" }],
    security: [{}, { key: [] }],
    paths,
    components: {
      securitySchemes: {
        key: { type: "http", scheme: "bearer", description: "An API key, `tb_…`." },
      },
      schemas: { Problem: PROBLEM },
      responses: Object.fromEntries(
        Object.entries(SHARED).map(([status, response]) => [`Problem${status}`, response]),
      ),
    },
  };
}

const PROBLEM: Json = {
  type: "object",
  required: ["type", "title", "status", "detail", "code", "retry", "requestId"],
  properties: {
    type: { type: "string", description: "A path of this server that explains the code." },
    title: { type: "string" },
    status: { type: "integer" },
    detail: { type: "string", description: "What to do next." },
    code: { type: "string", enum: Object.keys(ERRORS) },
    retry: { type: "boolean", description: "Whether the same call may succeed later." },
    requestId: { type: "string", description: "Under this id the server's log knows the request." },
  },
};

function describe(operation: AnyOperation, path: string): Json {
  const { name, summary, scope, effect, errors } = operation;
  const input = tidy(
    z.toJSONSchema(operation.input, { io: "input", unrepresentable: "any" }),
    true,
  );
  const output = tidy(z.toJSONSchema(operation.output, { unrepresentable: "any" }), false);
  const isGet = operation.route.startsWith("GET ");
  const codes = [...errors, ...ALWAYS, ...(isGet ? [] : WITH_BODY)];
  return {
    operationId: name,
    summary,
    tags: [name.split(".")[0]],
    "x-scope": scope,
    "x-effect": effect,
    ...inputs(input, path, isGet),
    responses: {
      "200": { description: "The answer.", content: { "application/json": { schema: output } } },
      ...refer(problems(codes)),
    },
  };
}

/** What every operation may answer, written once; an operation with codes of its own spells them out. */
const SHARED = problems([...ALWAYS, ...WITH_BODY]);

function refer(responses: Json): Json {
  return Object.fromEntries(
    Object.entries(responses).map(([status, response]) => [
      status,
      JSON.stringify(response) === JSON.stringify(SHARED[status])
        ? { $ref: `#/components/responses/Problem${status}` }
        : response,
    ]),
  );
}

interface ObjectSchema extends Json {
  properties?: Record<string, Json>;
  required?: string[];
}

function inputs(schema: ObjectSchema, path: string, isGet: boolean): Json {
  const inPath = [...path.matchAll(/:(\w+)/g)].map(([, name = ""]) => name);
  const { properties = {}, required = [], ...rest } = schema;
  const others = Object.entries(properties).filter(([name]) => !inPath.includes(name));
  const needed = required.filter((name) => !inPath.includes(name));
  const parameters = [
    ...inPath.map((name) => parameter("path", name, properties[name] ?? {}, true)),
    ...(isGet
      ? others.map(([name, of]) => parameter("query", name, of, needed.includes(name)))
      : []),
  ];
  if (isGet) return { parameters };
  const body = {
    ...rest,
    properties: Object.fromEntries(others),
    ...(needed.length > 0 && { required: needed }),
  };
  return {
    parameters,
    requestBody: {
      required: needed.length > 0,
      content: { "application/json": { schema: body } },
    },
  };
}

function parameter(place: string, name: string, schema: Json, required: boolean): Json {
  const { description, ...rest } = schema;
  return {
    name,
    in: place,
    required,
    ...(description === undefined ? {} : { description }),
    schema: rest,
  };
}

/** One response a status, naming the codes that share it. */
function problems(codes: readonly ErrorCode[]): Json {
  const byStatus = new Map<string, ErrorCode[]>();
  for (const code of new Set(codes)) {
    const status = String(ERRORS[code].status);
    byStatus.set(status, [...(byStatus.get(status) ?? []), code]);
  }
  return Object.fromEntries(
    [...byStatus].map(([status, some]) => [
      status,
      {
        description: some.map((code) => `\`${code}\`: ${ERRORS[code].title}`).join("\n"),
        content: {
          "application/problem+json": {
            schema: {
              allOf: [{ $ref: "#/components/schemas/Problem" }],
              properties: { code: { enum: some } },
            },
          },
        },
      },
    ]),
  );
}

function describeStream(): Json {
  const whole = { type: "integer", minimum: 0 };
  return {
    operationId: "events.stream",
    summary: "A run's events as they are committed, each once and in order (server-sent events).",
    description:
      "`id` is the event's number, `event` its type, `data` the event as `events.list` shows it. The stream ends after the run's final event; 204 says that nothing is left. A comment comes every 15 seconds.",
    tags: ["events"],
    "x-scope": "read",
    "x-effect": "read",
    parameters: [
      parameter("path", "runId", { type: "string", description: "Id of the run." }, true),
      parameter(
        "query",
        "after",
        { ...whole, description: "Only events after this number." },
        false,
      ),
      parameter("header", "last-event-id", { ...whole, description: "Wins over `after`." }, false),
    ],
    responses: {
      "200": {
        description: "The stream.",
        content: { "text/event-stream": { schema: { type: "string" } } },
      },
      "204": { description: "The run has ended and the reader has seen all of it." },
      ...refer(problems(["run_not_found", ...ALWAYS])),
    },
  };
}

/** Leaves out what only zod wants to say: twins of `format`, the bounds of every integer, "anything". */
function tidy(schema: unknown, strict: boolean): Json {
  const visit = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(visit);
    if (typeof value !== "object" || value === null) return value;
    const kept = Object.entries(value).filter(([key, part]) => !isNoise(key, part, value, strict));
    return Object.fromEntries(kept.map(([key, part]) => [key, visit(part)]));
  };
  return visit(schema) as Json;
}

function isNoise(key: string, part: unknown, whole: object, strict: boolean): boolean {
  if (key === "$schema" || key === "propertyNames") return true;
  if (key === "pattern") return "format" in whole && typeof whole.format === "string";
  if (key === "minimum" || key === "maximum")
    return Math.abs(Number(part)) === Number.MAX_SAFE_INTEGER;
  if (key !== "additionalProperties") return false;
  return strict ? part !== false : typeof part === "boolean" || isEmpty(part);
}

function isEmpty(part: unknown): boolean {
  return typeof part === "object" && part !== null && Object.keys(part).length === 0;
}
