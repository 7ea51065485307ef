import { type Actor, linkSession, SCOPES } from "@tidebase/core";
import { expect } from "vitest";
import type { TestDatabase } from "../../core/test/support/database.ts";
import type { App } from "../src/index.ts";

/** A human at a terminal of the server's machine. */
export const ada: Actor = { name: "ada", scopes: SCOPES, via: "tty" };

/** A browser that keeps a cookie and fills in forms. */
export interface Browser {
  readonly cookie: string;
  get(path: string): Promise<Response>;
  /** Sends a form as a browser would, with the hidden fields that were read from its page. */
  post(
    path: string,
    fields: Record<string, string>,
    headers?: Record<string, string>,
  ): Promise<Response>;
}

export function browser(app: App, cookie = ""): Browser {
  const common: Record<string, string> = cookie === "" ? {} : { cookie };
  return {
    cookie,
    get: async (path) => app.request(path, { headers: common }),
    post: async (path, fields, headers = {}) =>
      app.request(path, {
        method: "POST",
        headers: {
          "content-type": "application/x-www-form-urlencoded",
          origin: "http://localhost",
          "sec-fetch-site": "same-origin",
          ...common,
          ...headers,
        },
        body: new URLSearchParams(fields).toString(),
      }),
  };
}

export interface TestGate {
  readonly gateId: string;
  readonly runId: string;
  readonly digest: string;
  readonly path: string;
  /** Asks something else under the same name; the new digest. */
  revise(question: object): Promise<string>;
}

/** An open gate of a run of its own. */
export async function openGate(db: TestDatabase, question: object = {}): Promise<TestGate> {
  const lease = await db.begun();
  const ask = async (asked: object) => {
    const answer = await db.call("gates.open", {
      ...lease,
      name: "send",
      prompt: "Send the report?",
      ...asked,
    });
    return answer["gate"] as { gateId: string; digest: string };
  };
  const { gateId, digest } = await ask(question);
  const revise = async (changed: object) => (await ask(changed)).digest;
  return { gateId, runId: lease.runId, digest, path: `/gates/${gateId}`, revise };
}

export async function gateOf(db: TestDatabase, gateId: string): Promise<Record<string, unknown>> {
  return (await db.call("gates.get", { gateId }))["gate"] as Record<string, unknown>;
}

/** The token of a fresh one-time link. */
export async function newLink({ core }: TestDatabase, actor: Actor = ada): Promise<string> {
  return (await core.execute(linkSession, {}, actor)).token;
}

/** Somebody signed in by a one-time link. */
export async function signedIn(app: App, db: TestDatabase, actor?: Actor): Promise<Browser> {
  const answer = await browser(app).post("/gates/session", { link: await newLink(db, actor) });
  expect(answer.status).toBe(303);
  return browser(app, cookieOf(answer));
}

/** What a browser would send back of the cookie it was given. */
export function cookieOf(answer: Response): string {
  return (answer.headers.get("set-cookie") ?? "").split(";")[0] ?? "";
}

/** The hidden fields of the gate's page, as this browser is shown them. */
export async function hiddenOf(
  reader: Browser,
  { path }: TestGate,
): Promise<{ csrf: string; digest: string }> {
  const text = await (await reader.get(path)).text();
  const value = (name: string) =>
    new RegExp(`name="${name}" value="([^"]*)"`).exec(text)?.[1] ?? "";
  return { csrf: value("csrf"), digest: value("digest") };
}

/** The audit trail of one target, oldest first: by whom, what, and how it ended. */
export async function auditOf(db: TestDatabase, target: string): Promise<string[]> {
  const { entries } = await db.call("audit.list", { limit: 200 });
  return (entries as Record<string, string>[])
    .filter((entry) => entry["target"] === target)
    .map(({ actor, via, operation, outcome }) => `${actor}/${via} ${operation} ${outcome}`)
    .reverse();
}
