import { setTimeout as delay } from "node:timers/promises";
import { type App, createApp } from "@tidebase/server";
import { afterAll, beforeAll, inject } from "vitest";
import { openCore } from "../../core/src/index.ts";
import { randomOf } from "../../test/support/random.ts";
import { fired } from "./fired.ts";
import { openReplicas } from "./replicas.ts";

type NodeSide = Parameters<App["fetch"]>[1];

/** What a test's server does with a request. */
export interface Answering {
  fetch(request: Request, env: NodeSide): Response | Promise<Response>;
}

const DELAY_MS = 50;

/** Every answer comes up to 50 ms later. */
export function delayed(app: App): Answering {
  const random = randomOf(inject("seed"));
  return {
    async fetch(request, env) {
      const answer = await app.fetch(request, env);
      await delay(random(DELAY_MS + 1));
      fired("an answer was delayed");
      return answer;
    },
  };
}

/**
 * Whose repeat is told that it found what the first one did, not answered as if it had done it: acts of an operator,
 * and writes that say whether they are new.
 */
const TOLD =
  /\/(?:recover|review|redrive|state|enqueue|signals|fork)\b|^\/v1\/(?:schedules|webhooks|keys|sessions)\b/;

/**
 * Every write comes twice, as from a client that lost the answer: at once or one after the other, and the answer is that
 * of either.
 */
export function twice(app: App): Answering {
  const random = randomOf(inject("seed"));
  return {
    async fetch(request, env) {
      if (request.method !== "POST") return app.fetch(request, env);
      const { url, method, headers, signal } = request;
      const body = await request.arrayBuffer(); // from the socket, so that is not handed on
      const { outgoing } = env as { outgoing?: never };
      const isTold = TOLD.test(new URL(url).pathname);
      const send = async () =>
        app.fetch(new Request(url, { method, headers, body, signal }), { outgoing });
      const first = send();
      if (isTold || random(2) === 0) await first;
      const answers = await Promise.all([first, send()]);
      fired("a request was sent twice");
      return answers[isTold ? 0 : random(2)] ?? first;
    },
  };
}

/** The test's own server and a second one, which know nothing of each other, in turn. */
export function inTurn(app: App, databaseUrl: string): Answering {
  const core = openCore({ databaseUrl, checkAnswers: true, sweeps: false });
  afterAll(() => core.close());
  const apps = [app, createApp(core)];
  let requests = 0;
  return {
    fetch(request, env) {
      const turn = apps[requests++ % apps.length] ?? app;
      if (requests > 1) fired("both servers were asked");
      return turn.fetch(request, env);
    },
  };
}

/** Two processes in turn, the second one's clock a minute and a half ahead. */
export function skewed(databaseUrl: string): Answering {
  const replicas = openReplicas(databaseUrl, { leftS: 0, rightS: 90 });
  beforeAll(() => replicas.start());
  afterAll(() => replicas.close());
  return {
    async fetch(request) {
      const answer = await replicas.ask(request);
      if (replicas.asked() > 1) fired("both processes were asked");
      return answer;
    },
  };
}
