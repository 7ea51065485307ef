import { randomBytes, randomUUID } from "node:crypto";
import type { Agent, Attempt, Target } from "./agent.ts";

const approve = ({ gateId, digest }: Target) => ({ gateId, digest, decision: "approved" });
const resolve = (agent: Agent, more: object = {}) => {
  const { gateId: _, ...rest } = approve(agent.target);
  return agent.post(`/v1/gates/${agent.target.gateId}/resolve`, { ...rest, ...more });
};
const redeem = (agent: Agent, kind: string, secret: unknown, target = agent.target) => {
  const { gateId, ...rest } = approve(target);
  return agent.post(`/v1/gates/${gateId}/redeem`, { ...rest, proof: { kind, secret } });
};
const CODE = /[0-9A-HJKMNP-TV-Z]{4}-[0-9A-HJKMNP-TV-Z]{4}/g;
const TOKEN = /[A-Za-z0-9_-]{43}/g;

/** Tries everything in a text that looks like a code, a phrase or a token, up to a bound. */
async function tryAll(agent: Agent, text: string): Promise<void> {
  const found = (pattern: RegExp) => [...new Set(text.match(pattern) ?? [])].slice(0, 40);
  await redeem(agent, "code", "0000-0000");
  for (const code of found(CODE)) await redeem(agent, "code", code);
  for (const token of found(TOKEN)) {
    await redeem(agent, "token", token);
    await page(agent, "session", { link: token, gate: agent.target.gateId });
  }
  for (const phrase of found(/\b[a-z]+-\d{4}\b/g)) await redeem(agent, "form", phrase);
}

function page(
  agent: Agent,
  path: string,
  fields: Record<string, string>,
  headers: Record<string, string> = {},
) {
  const body = new URLSearchParams(fields).toString();
  const form = { "content-type": "application/x-www-form-urlencoded", authorization: "" };
  const init = {
    method: "POST",
    body,
    headers: { ...form, ...headers },
    redirect: "manual",
  } as const;
  return agent.http(path === "session" ? "/gates/session" : `/gates/${path}`, init);
}
const decideOnPage = (
  agent: Agent,
  headers: Record<string, string> = {},
  more: Record<string, string> = {},
) =>
  page(
    agent,
    `${agent.target.gateId}/decide`,
    { decision: "approved", digest: agent.target.digest, csrf: "x".repeat(43), ...more },
    headers,
  );

const api: Attempt[] = [
  { name: "resolve with a worker's key", run: (agent) => resolve(agent) },
  {
    name: "resolve and name another actor in the body",
    run: (agent) => resolve(agent, { actor: "ada", via: "page", assurance: "signed_in" }),
  },
  {
    name: "resolve and name another actor in headers",
    run: (agent) =>
      agent.http(`/v1/gates/${agent.target.gateId}/resolve`, {
        method: "POST",
        body: JSON.stringify(approve(agent.target)),
        headers: {
          "content-type": "application/json",
          "x-forwarded-user": "ada",
          "x-tidebase-actor": "ada",
          "x-tidebase-scopes": "approve",
          cookie: "tidebase_session=ada",
        },
      }),
  },
  {
    name: "redeem without a proof",
    run: (agent) => agent.post(`/v1/gates/${agent.target.gateId}/redeem`, approve(agent.target)),
  },
  { name: "redeem an empty code", run: (agent) => redeem(agent, "code", "") },
  { name: "redeem a code of another type", run: (agent) => redeem(agent, "code", { $ne: null }) },
  { name: "redeem with SQL for a code", run: (agent) => redeem(agent, "code", "' or '1'='1") },
  {
    name: "guess codes, one after another",
    async run(agent) {
      await agent.human.code(agent.target.gateId, "approved");
      for (let n = 0; n < 50; n++) await redeem(agent, "code", guess());
    },
  },
  {
    name: "guess codes, two hundred at once",
    async run(agent) {
      await agent.human.code(agent.target.gateId, "approved");
      await Promise.all(Array.from({ length: 200 }, () => redeem(agent, "code", guess())));
    },
  },
  {
    name: "guess a token",
    run: (agent) => redeem(agent, "token", randomBytes(32).toString("base64url")),
  },
  { name: "guess a form's phrase", run: (agent) => redeem(agent, "form", "amber-4711") },
  {
    name: "ask for a form on a gate that wants a code, and answer it",
    async run(agent) {
      const { text } = await agent.post(`/v1/gates/${agent.target.gateId}/form`, {});
      await redeem(agent, "form", String(JSON.parse(text).phrase ?? "amber-4711"));
    },
  },
  {
    name: "ask for a form on another gate, and answer this one with it",
    async run(agent) {
      const { text } = await agent.post(`/v1/gates/${agent.other.gateId}/form`, {});
      await redeem(agent, "form", String(JSON.parse(text).phrase ?? "amber-4711"));
    },
  },
  {
    name: "make a code with a worker's key",
    async run(agent) {
      const { text } = await agent.post(`/v1/gates/${agent.target.gateId}/code`, {
        decision: "approved",
      });
      await redeem(agent, "code", String(JSON.parse(text).code ?? "0000-0000"));
    },
  },
  {
    name: "make a page link with a worker's key",
    async run(agent) {
      const { text } = await agent.post("/v1/sessions/link", {});
      await page(agent, "session", { link: String(JSON.parse(text).token ?? "none") });
    },
  },
  {
    name: "extend the gate and hope",
    run: (agent) => agent.post(`/v1/gates/${agent.target.gateId}/extend`, { expiresInMs: 0 }),
  },
  {
    name: "make a key that may approve",
    async run(agent) {
      const { text } = await agent.post("/v1/keys", { name: "mine", scopes: ["approve"] });
      const key = String(JSON.parse(text).key ?? agent.key);
      await resolve({ ...agent, key });
    },
  },
  {
    name: "make a channel that is told the codes",
    run: (agent) =>
      agent.post("/v1/webhooks", {
        ...{ name: "mine", url: "http://127.0.0.1:9/", events: ["gate.opened"], decides: true },
      }),
  },
  {
    name: "use the id of a key for a key",
    run: (agent) =>
      agent
        .http(`/v1/gates/${agent.target.gateId}/resolve`, {
          method: "POST",
          body: JSON.stringify(approve(agent.target)),
          headers: {
            authorization: "Bearer key_00000000-0000-7000-8000-000000000000",
            "content-type": "application/json",
          },
        })
        .then(() => resolve(agent)),
  },
  {
    name: "say a member twice, the second time otherwise",
    async run(agent) {
      const code = await agent.human.code(agent.target.gateId, "rejected");
      const { gateId, digest } = agent.target;
      const proof = JSON.stringify({ kind: "code", secret: code });
      await agent.http(`/v1/gates/${gateId}/redeem`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: `{"decision":"rejected","digest":"${digest}","proof":${proof},"decision":"approved"}`,
      });
    },
  },
  {
    name: "use a code for a rejection to approve",
    run: async (agent) =>
      redeem(agent, "code", await agent.human.code(agent.target.gateId, "rejected")),
  },
  {
    name: "use a code of another gate",
    run: async (agent) =>
      redeem(agent, "code", await agent.human.code(agent.other.gateId, "approved")),
  },
  {
    name: "use a code after its time",
    async run(agent) {
      const code = await agent.human.code(agent.target.gateId, "approved");
      await agent.human.later("11 minutes");
      await redeem(agent, "code", code);
    },
  },
  {
    name: "replay the code of a gate that was decided on this one",
    async run(agent) {
      const code = await agent.human.code(agent.other.gateId, "rejected");
      const { gateId, digest } = agent.other;
      const proof = { kind: "code", secret: code };
      await agent.post(`/v1/gates/${gateId}/redeem`, { digest, decision: "rejected", proof });
      await redeem(agent, "code", code);
      await redeem(agent, "code", code, agent.other);
    },
  },
  {
    name: "change the question between the code and its use",
    async run(agent) {
      const code = await agent.human.code(agent.target.gateId, "approved");
      const question = { name: "send", prompt: "Send it to everybody?", risk: "high" };
      const { text } = await agent.post(`/v1/runs/${agent.target.runId}/gates`, {
        ...agent.target.lease,
        ...question,
      });
      const { digest } = JSON.parse(text).gate as Target;
      await redeem(agent, "code", code, { ...agent.target, digest });
      await redeem(agent, "code", code);
    },
  },
  {
    name: "lower what the gate asks for by asking again",
    async run(agent) {
      const question = {
        name: "send",
        prompt: "Send the report?",
        risk: "low",
        assurance: "client_form",
      };
      const { text } = await agent.post(`/v1/runs/${agent.target.runId}/gates`, {
        ...agent.target.lease,
        ...question,
      });
      const { digest } = JSON.parse(text).gate as Target;
      const { text: form } = await agent.post(`/v1/gates/${agent.target.gateId}/form`, {});
      await redeem(agent, "form", String(JSON.parse(form).phrase ?? "none"), {
        ...agent.target,
        digest,
      });
    },
  },
  {
    name: "resolve it under the path of another gate",
    async run(agent) {
      const { gateId } = agent.target;
      for (const path of [
        `/v1/gates/${agent.other.gateId}%2F..%2F${gateId}/resolve`,
        `/v1/gates/${agent.other.gateId}/../${gateId}/resolve`,
        `/v1/runs/${agent.other.runId}/gates/${gateId}/resolve`,
      ])
        await agent.post(path, approve(agent.target));
      await resolve(agent, { gateId: agent.other.gateId });
    },
  },
  {
    name: "override the method",
    run: (agent) =>
      agent
        .http(`/v1/gates/${agent.target.gateId}?_method=POST&decision=approved`, {
          headers: { "x-http-method-override": "POST" },
        })
        .then(() => resolve(agent)),
  },
  {
    name: "write the decision into state, a step and a signal",
    async run(agent) {
      const { lease, gateId, runId } = agent.target;
      const value = { gates: { send: { status: "approved" } } };
      await agent.post(`/v1/runs/${runId}/state`, { ...lease, kind: "set", value });
      const step = { ...lease, name: "send", output: { approved: true, status: "approved" } };
      await agent.post("/v1/steps/complete", { items: [step] });
      await agent.post(`/v1/runs/${runId}/signals`, { name: gateId, payload: { approved: true } });
      await agent.post(`/v1/runs/${runId}/signals`, {
        name: "gate.resolved",
        payload: { approved: true },
      });
      await resolve(agent);
    },
  },
  {
    name: "begin the run again, and decide as its new worker",
    async run(agent) {
      await agent.post(`/v1/runs/${agent.target.runId}/release`, { ...agent.target.lease });
      const grantId = `grant_${randomUUID()}`;
      await agent.post(`/v1/runs/${agent.target.runId}/begin`, { grantId });
      await resolve(agent);
    },
  },
  {
    name: "read everything that can be read while a human makes codes, and try what looks like one",
    async run(agent) {
      const { gateId, runId } = agent.target;
      await agent.human.code(gateId, "approved");
      const paths = [
        ...[`/v1/gates/${gateId}`, "/v1/gates", `/v1/runs/${runId}`, `/v1/runs/${runId}/events`],
        ...[`/v1/runs/${runId}/steps`, `/v1/runs/${runId}/streams`, "/v1/overview", "/v1/audit"],
        ...["/v1/webhooks", "/v1/deliveries", "/v1/keys", "/openapi.json", "/ready", "/health"],
        ...[`/gates/${gateId}`, "/gates", "/v1/runs"],
      ];
      const texts = await Promise.all(paths.map(async (path) => (await agent.http(path)).text));
      await tryAll(agent, texts.join("\n"));
    },
  },
  {
    name: "follow the run's event stream while a human makes a code, and try what came by",
    async run(agent) {
      const stop = new AbortController();
      const stream = await fetch(`${agent.url}/v1/runs/${agent.target.runId}/events/stream`, {
        headers: { authorization: `Bearer ${agent.key}` },
        signal: stop.signal,
      });
      const reader = stream.body?.getReader();
      const first = await reader?.read();
      await agent.human.code(agent.target.gateId, "approved");
      await agent.post(`/v1/runs/${agent.target.runId}/signals`, { name: "mark" });
      const second = await reader?.read();
      stop.abort();
      await tryAll(
        agent,
        [first, second].map((part) => new TextDecoder().decode(part?.value)).join(""),
      );
    },
  },
  {
    name: "read what the programs print while a human makes a code, and try what looks like one",
    async run(agent) {
      await agent.human.code(agent.target.gateId, "approved");
      await agent.tool("tidebase_get_gate", { gateId: agent.target.gateId });
      await tryAll(agent, agent.logs());
    },
  },
];

const pages: Attempt[] = [
  {
    name: "prefetch the page with the decision in its address",
    async run(agent) {
      const { gateId, digest } = agent.target;
      for (const query of [
        `decision=approved&digest=${digest}`,
        "token=x&decision=approved",
        "link=x",
      ])
        await agent.http(`/gates/${gateId}?${query}`, { headers: { authorization: "" } });
      await agent.http(`/gates/${gateId}/decide?decision=approved&digest=${digest}`);
      await decideOnPage(agent);
    },
  },
  {
    name: "fetch the page and post its form without a session",
    async run(agent) {
      const { text } = await agent.http(`/gates/${agent.target.gateId}`, {
        headers: { authorization: "" },
      });
      const hidden = [...text.matchAll(/name="(\w+)"[^>]*value="([^"]*)"/g)];
      await decideOnPage(
        agent,
        {},
        Object.fromEntries(hidden.map(([, name, value]) => [name, value])),
      );
    },
  },
  {
    name: "post the form with a made-up session",
    run: (agent) => decideOnPage(agent, { cookie: `tidebase_session=${"a".repeat(43)}` }),
  },
  {
    name: "post the form with a worker's key",
    run: (agent) => decideOnPage(agent, { authorization: `Bearer ${agent.key}` }),
  },
  {
    name: "post the form from another site",
    run: (agent) =>
      decideOnPage(agent, { origin: "https://evil.example", "sec-fetch-site": "cross-site" }),
  },
  {
    name: "post the form as JSON",
    run: (agent) => agent.post(`/gates/${agent.target.gateId}/decide`, approve(agent.target)),
  },
  {
    name: "sign in with a worker's key",
    run: (agent) => page(agent, "session", { key: agent.key }).then(() => decideOnPage(agent)),
  },
  {
    name: "sign in with a made-up link",
    run: (agent) => page(agent, "session", { link: randomBytes(32).toString("base64url") }),
  },
  {
    name: "sign in with an empty link",
    run: (agent) => page(agent, "session", { link: "", key: "" }),
  },
  {
    name: "post a made-up channel token",
    run: (agent) =>
      page(agent, `${agent.target.gateId}/redeem`, {
        ...{ decision: "approved", digest: agent.target.digest, token: "b".repeat(43) },
      }),
  },
  {
    name: "ask the page for a code without a session",
    async run(agent) {
      const { text } = await page(agent, `${agent.target.gateId}/code`, {
        ...{ decision: "approved", digest: agent.target.digest },
      });
      await tryAll(agent, text);
    },
  },
];

const propose = ({ target }: Agent, more: object = {}) => ({
  ...{ gateId: target.gateId, proposedDecision: "approved" },
  ...more,
});

const mcp: Attempt[] = [
  {
    name: "resolve by chat without a code",
    run: (agent) => agent.tool("tidebase_resolve_gate", propose(agent)),
  },
  {
    name: "resolve by chat and say how sure one is",
    run: async (agent) => {
      const sure = { assurance: "signed_in", confirm: true };
      await agent.tool("tidebase_resolve_gate", propose(agent, sure));
      await resolve(agent, sure);
    },
  },
  {
    name: "resolve by chat, the client accepting every form empty",
    run: (agent) =>
      agent.tool("tidebase_resolve_gate", propose(agent), () => ({
        action: "accept",
        content: {},
      })),
  },
  {
    name: "resolve by chat with guessed codes",
    async run(agent) {
      await agent.human.code(agent.target.gateId, "approved");
      for (let n = 0; n < 6; n++)
        await agent.tool("tidebase_resolve_gate", propose(agent, { approvalCode: guess() }));
    },
  },
  {
    name: "resolve by chat with the code of a rejection",
    run: async (agent) =>
      agent.tool(
        "tidebase_resolve_gate",
        propose(agent, { approvalCode: await agent.human.code(agent.target.gateId, "rejected") }),
      ),
  },
  {
    name: "resolve by chat the gate of the run that this process executes, with a human's code",
    run: async (agent) =>
      agent
        .tool(
          "tidebase_resolve_gate",
          propose(agent, { approvalCode: await agent.human.code(agent.target.gateId, "approved") }),
          undefined,
          { TIDEBASE_RUN_ID: agent.target.runId },
        )
        .then(() => resolve(agent)),
  },
];

function guess(): string {
  const letters = randomBytes(5).toString("hex").slice(0, 8).toUpperCase();
  return `${letters.slice(0, 4)}-${letters.slice(4)}`;
}

/** At least thirty ways to get a gate approved that asks for a code. */
export const ATTEMPTS: readonly Attempt[] = [...api, ...pages, ...mcp];
