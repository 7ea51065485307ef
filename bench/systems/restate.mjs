/** Restate: a server with its own log and storage pushes to user code behind an HTTP/2 endpoint. */
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import http2 from "node:http2";
import { setTimeout as delay } from "node:timers/promises";
import * as restate from "@restatedev/restate-sdk";
import * as clients from "@restatedev/restate-sdk-clients";
import { request } from "undici";
import { OUTPUT } from "../payload.mjs";
import { deferred, now, timeEach } from "../statistics.mjs";

/** Its SDK takes this of Node 22 for granted. */
Promise.withResolvers ??= deferred;

/** Jobs that are enqueued before there is a worker: not due while the bench runs. */
const BACKLOG_DELAY_MS = 3_600_000;
/** One attempt; then the invocation rests until it is resumed. */
const PAUSING = { retryPolicy: { maxAttempts: 1, onMaxAttempts: "pause", initialInterval: 1 } };

const PLANNED = "planned";

/** What handlers tell of themselves, by a name that their input brings. */
const heard = new Map();
let onJob = () => {};

const step = (ctx, n) => ctx.run(`s${n}`, () => OUTPUT);

const Runs = restate.service({
  name: "Runs",
  handlers: {
    async steps(ctx, { name, count }) {
      const times = await timeEach(count, (n) => step(ctx, n));
      heard.get(name)?.resolve(times);
    },
    failing: restate.handlers.handler(PAUSING, async (ctx, { name, count }) => {
      await timeEach(count, (n) => step(ctx, n));
      await ctx.run("new", () => {
        heard.get(name).resolve(now());
        throw new Error(PLANNED);
      });
    }),
  },
});
const Jobs = restate.service({
  name: "Jobs",
  handlers: { run: async (_ctx, { n }) => onJob(n) },
});
const Gates = restate.service({
  name: "Gates",
  handlers: {
    async run(ctx, { name }) {
      const awakeable = ctx.awakeable();
      const { waiting, goesOn } = heard.get(name);
      waiting(awakeable.id);
      await awakeable.promise;
      goesOn();
    },
  },
});

export async function open({ role, ingress, admin }) {
  const endpoint = await serve(role === "client" ? [Runs] : [Jobs, Gates], admin);
  const client = clients.connect({ url: ingress });
  const runs = client.serviceSendClient(Runs);
  const jobs = client.serviceSendClient(Jobs);
  const gates = client.serviceSendClient(Gates);
  const later = clients.rpc.sendOpts({ delay: BACKLOG_DELAY_MS });
  return {
    async steps(count) {
      const { name, ended } = hear();
      await runs.steps({ name, count });
      return ended.promise;
    },
    async prepare(count) {
      const { name, ended } = hear();
      const { invocationId } = await runs.failing({ name, count });
      await ended.promise;
      await paused(admin, invocationId);
      return { name, invocationId };
    },
    async resume({ name, invocationId }) {
      const reached = deferred();
      heard.set(name, reached);
      const started = now();
      await ask(`${admin}/invocations/${invocationId}/resume`, { method: "PATCH" });
      const ms = (await reached.promise) - started;
      await paused(admin, invocationId);
      return { ms };
    },
    enqueue: (n, { backlog }) => (backlog ? jobs.run({ n }, later) : jobs.run({ n })),
    async work(listener) {
      onJob = listener;
      return async () => {};
    },
    async gate(listener) {
      const name = randomUUID();
      heard.set(name, listener);
      await gates.run({ name });
    },
    decision: async (awakeable) => () => client.resolveAwakeable(awakeable, { approved: true }),
    close: async () => void endpoint.close(),
  };
}

function hear() {
  const [name, ended] = [randomUUID(), deferred()];
  heard.set(name, ended);
  return { name, ended };
}

/** The services of this process, made known to the server. */
async function serve(services, admin) {
  const endpoint = http2.createServer(
    restate.createEndpointHandler({ services, logger: complain }),
  );
  endpoint.listen(0, "127.0.0.1");
  await once(endpoint, "listening");
  const uri = `http://127.0.0.1:${endpoint.address().port}`;
  await ask(`${admin}/deployments`, { method: "POST", input: { uri, force: true } });
  return endpoint;
}

function complain({ level }, ...said) {
  if (level === "error" && !said.some((one) => String(one).includes(PLANNED)))
    console.error(...said);
}

/** Until the invocation rests after its failure. */
async function paused(admin, id) {
  const query = `select status from sys_invocation where id = '${id}'`;
  for (;;) {
    const { rows } = await ask(`${admin}/query`, { method: "POST", input: { query } });
    if (rows?.[0]?.status === "paused") return;
    await delay(50);
  }
}

async function ask(url, { method, input }) {
  const headers = { "content-type": "application/json", accept: "application/json" };
  const body = input === undefined ? undefined : JSON.stringify(input);
  const answer = await request(url, { method, headers, body });
  const text = await answer.body.text();
  if (answer.statusCode >= 300) throw new Error(`${url} answered ${answer.statusCode}: ${text}`);
  return text === "" ? {} : JSON.parse(text);
}
