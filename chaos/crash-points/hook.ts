/*
 * Loaded into the process under test before its program: by `--import`, or as the first import of a bundle. Numbers
 * every statement that goes to the database and every request that goes out, and kills the process at the place that
 * CHAOS_CRASH_AT names.
 */
import { subscribe } from "node:diagnostics_channel";
import { appendFileSync } from "node:fs";
import { ClientRequest } from "node:http";
import pg from "pg";
import { readHookSettings } from "./config.ts";
import type { Place } from "./place.ts";

const { crashAt, file } = readHookSettings();
/** The numbers of the calls that are out. */
const out = new WeakMap<object, { readonly n: number; readonly what: string }>();
/** The same look once a period for as long as there is time: of these only the first ones are points. */
const PULSE = "database sweeps.pulse";
const PULSES_MAX = 3;
let pulses = 0;
let passed = 0;

/** The call is about to leave. */
function leaves(call: object, what: string): void {
  if (what === PULSE) pulses += 1;
  if (what === PULSE && pulses > PULSES_MAX) return;
  passed += 1;
  out.set(call, { n: passed, what });
  dieAt({ n: passed, when: "before" }, what);
}

/** Its answer is here, and nobody has been told. */
function answered(call: object): void {
  const sent = out.get(call);
  if (sent !== undefined) dieAt({ n: sent.n, when: "after" }, sent.what);
}

function dieAt({ n, when }: Place, what: string): void {
  if (crashAt?.n !== n || crashAt.when !== when) return;
  tell(`died ${what}`);
  process.kill(process.pid, "SIGKILL");
  for (;;); // until the signal is here
}

function tell(line: string): void {
  if (file !== undefined) appendFileSync(file, `${line}\n`);
}

/** What is used of pg's queries: whether pipelined or not, `submit` writes one to its connection. */
interface Query {
  readonly text?: string;
  submit(...given: unknown[]): unknown;
  handleError(...given: unknown[]): unknown;
  handleReadyForQuery(...given: unknown[]): unknown;
}

const query = pg.Query.prototype as unknown as Query;
const { submit, handleError, handleReadyForQuery } = query;
Object.assign(query, {
  submit(this: Query, ...given: unknown[]) {
    leaves(this, `database ${statementOf(this.text ?? "")}`);
    return Reflect.apply(submit, this, given);
  },
  handleError(this: Query, ...given: unknown[]) {
    answered(this);
    return Reflect.apply(handleError, this, given);
  },
  handleReadyForQuery(this: Query, ...given: unknown[]) {
    answered(this);
    return Reflect.apply(handleReadyForQuery, this, given);
  },
});

/** The name that core writes into its statements, or their beginning. */
function statementOf(text: string): string {
  const name = /\/\* (\S+) \*\//.exec(text)?.[1];
  return name ?? text.replace(/\s+/g, " ").trim().slice(0, 80);
}

interface UndiciMessage {
  readonly request: object & { readonly method: string; readonly path: string };
}

// Of the undici package and of Node's own fetch alike: before the first byte is written, and at the end of the body.
subscribe("undici:client:sendHeaders", (message) => {
  const { request } = message as UndiciMessage;
  leaves(request, `request ${request.method} ${request.path}`);
});
subscribe("undici:request:trailers", (message) => answered((message as UndiciMessage).request));

const { end } = ClientRequest.prototype;
Object.assign(ClientRequest.prototype, {
  end(this: ClientRequest, ...given: unknown[]) {
    leaves(this, `request ${this.method} ${this.path}`);
    this.prependOnceListener("response", () => answered(this));
    return Reflect.apply(end, this, given);
  },
});

process.once("exit", () => tell(`passed ${passed}`));
