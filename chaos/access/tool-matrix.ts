import type { Scope } from "@tidebase/core";
import { inputOf, type Known } from "../input/cases.ts";
import { changesOf } from "../input/fingerprint.ts";
import {
  MCP_HEADERS,
  type McpClient,
  type RpcAnswer,
  startHttpClient,
} from "../input/mcp-client.ts";
import { goodCase } from "../input/routes.ts";
import { errorOf, goodArguments, TOOLS, wrongOfTool } from "../input/tools.ts";
import type { Caller } from "./callers.ts";
import type { Found, MatrixWorld } from "./matrix.ts";
import { TOOL_NEEDS } from "./reach.ts";

/** Every tool over HTTP in the name of every caller: a key opens no tool whose scopes it lacks. */
export async function tryTools(world: MatrixWorld): Promise<Found> {
  const found: Found = { tried: 0, done: 0, problems: unlisted() };
  const known = world.callers.filter(({ refusedAs }) => refusedAs === undefined);
  for (const caller of world.callers) if (!known.includes(caller)) await noSession(caller, found);
  const sessions: Session[] = [];
  for (const caller of known)
    sessions.push({ caller, client: await startHttpClient(caller.client) });
  for (const tool of TOOLS) await callByAll(world, tool, sessions, found);
  for (const { client } of sessions) await client.close();
  return found;
}

/** A caller who speaks MCP. */
interface Session {
  readonly caller: Caller;
  readonly client: McpClient;
}

function unlisted(): string[] {
  const missing = TOOLS.filter(({ name }) => TOOL_NEEDS[name] === undefined);
  return missing.map(({ name }) => `${name} is not in the table of what tools need.`);
}

/** Whoever is refused does not even begin. */
async function noSession(caller: Caller, found: Found): Promise<void> {
  const messages = [
    { jsonrpc: "2.0", id: 1, method: "initialize", params: {} },
    { jsonrpc: "2.0", id: 2, method: "tools/list" },
    ...TOOLS.map(({ name }) => ({ jsonrpc: "2.0", id: 3, method: "tools/call", params: { name } })),
  ];
  for (const message of messages) {
    const answer = await caller.client.exchange(
      "POST",
      "/mcp",
      MCP_HEADERS,
      JSON.stringify(message),
    );
    found.tried += 1;
    if (answer.status !== 401 || !answer.text.includes(caller.refusedAs ?? ""))
      found.problems.push(
        `/mcp with ${caller.name}: ${answer.status} ${answer.text.slice(0, 200)}`,
      );
  }
}

/** Those first who lack a scope: they change nothing. */
async function callByAll(
  { execute, webhookUrl, look }: MatrixWorld,
  tool: (typeof TOOLS)[number],
  sessions: readonly Session[],
  found: Found,
): Promise<void> {
  const needs = TOOL_NEEDS[tool.name] ?? [];
  const missing = ({ caller }: Session) => needs.filter((one) => !caller.scopes.includes(one));
  const doneBefore = found.done;
  let last = "";
  const call = async ({ caller, client }: Session, given: object, lacks: readonly Scope[]) => {
    const answer = await client.ask("tools/call", { name: tool.name, arguments: given });
    found.tried += 1;
    const wrong = wrongOfAnswer(answer, lacks, caller.scopes);
    const shown = JSON.stringify(answer).slice(0, 300);
    if (wrong !== undefined)
      found.problems.push(`${tool.name} with ${caller.name}: ${wrong}: ${shown}`);
    else if (lacks.length === 0 && errorOf(answer) === undefined) found.done += 1;
    last = shown;
  };
  const known = await goodArguments(execute, tool, webhookUrl);
  const changed = await changesOf(look, async () => {
    for (const session of sessions)
      if (missing(session).length > 0) await call(session, acting(tool, known), missing(session));
  });
  if (changed.length > 0)
    found.problems.push(`Refused calls of ${tool.name} changed ${changed.join(", ")}.`);
  for (const session of sessions.filter((one) => missing(one).length === 0))
    await call(session, acting(tool, await goodArguments(execute, tool, webhookUrl)), []);
  if (found.done === doneBefore) found.problems.push(`${tool.name} was done by nobody: ${last}`);
}

/** Whoever may, shall act: a dry run would show little. */
function acting(tool: (typeof TOOLS)[number], known: Known): object {
  const given = inputOf(goodCase(tool.input, known), known);
  return { ...given, ...("dryRun" in given && { dryRun: false }) };
}

function wrongOfAnswer(answer: RpcAnswer, missing: readonly Scope[], scopes: readonly Scope[]) {
  const wrong = wrongOfTool(answer);
  if (wrong !== undefined) return wrong;
  const error = errorOf(answer);
  const refused = error?.["code"] === "scope_missing";
  if (missing.length > 0) {
    if (!refused) return `not refused although it lacks ${missing.join(" and ")}`;
    return missing.some((scope) => scope === error?.["scope"])
      ? undefined
      : "refused for another scope";
  }
  if (refused) return `refused although the key has ${scopes.join(", ")}`;
  return answer.error === undefined ? undefined : "an error of the protocol";
}
