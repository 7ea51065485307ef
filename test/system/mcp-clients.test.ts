import { type ChildProcess, execFile, spawn } from "node:child_process";
import { mkdir, mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join as path } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { useDatabase } from "../../core/test/support/database.ts";
import { gateOf, newHuman, openGate } from "../../mcp-server/test/gate-support.ts";
import { failedRun } from "../../mcp-server/test/support.ts";
import {
  type Joined,
  join,
  joinByV2,
  KINDS,
  type Kind,
  type Server,
} from "../support/mcp-clients.ts";
import { end, untilPrinted } from "../support/process.ts";

const REVISION = "2025-11-25";
type Row = Record<string, string | number | undefined>;
const TRANSPORTS = ["stdio", "http"] as const;
type Transport = (typeof TRANSPORTS)[number];
const TOOLS =
  `overview list_runs get_run list_events get_state wait_for_run list_gates get_gate list_queues
  list_schedules resolve_gate recover_run review_step fork_run cancel_run manage_queue manage_schedule`
    .split(/\s+/)
    .map((name) => `tidebase_${name}`);
const RUN = "tidebase://runs/{runId}";
const run = promisify(execFile);
const db = useDatabase();

let folder = "";
let served: ChildProcess | undefined;
let failed = "";
const servers: Partial<Record<Transport, Server>> = {};
const clients: Joined[] = [];
/** What each cell of the matrix saw. */
const rows: Row[] = [];

/** The program as it is published, started by each client itself, and once for all over HTTP. */
beforeAll(async () => {
  folder = await mkdtemp(path(tmpdir(), "tidebase-clients-"));
  const cwd = fileURLToPath(new URL("../../mcp-server/", import.meta.url));
  await run("npm", ["pack", "--pack-destination", folder], { cwd });
  const [tarball = ""] = await readdir(folder);
  const place = path(folder, "package");
  await mkdir(place);
  await run("tar", ["-xzf", path(folder, tarball), "-C", place, "--strip-components=1"]);
  const main = path(place, "dist/main.js");
  // With a key in the store a gate asks for more than a form, unless the setting says otherwise.
  const env = { TIDEBASE_DATABASE_URL: db.url, TIDEBASE_GATE_FLOOR: "client_form" };
  servers.stdio = { args: [main], env };
  const made = await db.call("keys.create", {
    name: "agent",
    scopes: ["read", "operate", "approve"],
  });
  served = spawn(process.execPath, [main, "http", "--port", "0"], {
    cwd: folder,
    env: { PATH: process.env["PATH"] ?? "", ...env },
  });
  const [url] = await untilPrinted(served, /http:\/\/127\.0\.0\.1:\d+(?=,)/);
  servers.http = { url: `${url}/mcp`, key: String(made["key"]) };
  failed = (await failedRun(db)).runId;
});

afterEach(async () => {
  for (const joined of clients.splice(0)) await joined.leave();
});

afterAll(async () => {
  if (served !== undefined) expect(await end(served, "SIGTERM")).toBe(0);
  await rm(folder, { recursive: true, force: true });
  process.stdout.write(`${tableOf(rows)}\n`);
});

function tableOf(cells: readonly Row[]): string {
  const lines = [
    Object.keys(cells[0] ?? {}),
    ...cells.map((cell) => Object.values(cell).map(String)),
  ];
  const width = (n: number): number => Math.max(...lines.map((line) => line[n]?.length ?? 0));
  return lines.map((line) => line.map((word, n) => word.padEnd(width(n))).join("  ")).join("\n");
}

function serverBy(transport: Transport): Server {
  return servers[transport] ?? expect.fail("It was not started.");
}

function textOf({ content }: { content: readonly unknown[] }): string {
  expect(content).toEqual([{ type: "text", text: expect.any(String) }]);
  return (content[0] as { text: string }).text;
}

/** What a tool that succeeds answers, by both copies alike. */
async function answerOf(joined: Joined, name: string, input: object = {}) {
  const answer = await joined.callTool(name, input);
  expect(answer.isError, JSON.stringify(answer.content)).toBeUndefined();
  expect(JSON.parse(textOf(answer))).toEqual(answer.structuredContent);
  return answer.structuredContent;
}

/** The error of a call that must fail. */
async function refusalOf(joined: Joined, name: string, input: object) {
  const answer = await joined.callTool(name, input);
  expect(answer).toMatchObject({ isError: true });
  expect(answer.structuredContent).toBeUndefined();
  return JSON.parse(textOf(answer)).error;
}

/**
 * Once the tools are listed both clients hold what a tool answers against its output schema, and throw for a
 * schema that they cannot compile: the first line for any in the list, the second when its tool is called.
 */
async function usesTools(joined: Joined): Promise<void> {
  const { tools } = await joined.client.listTools();
  expect(tools.map(({ name }) => name)).toEqual(TOOLS);
  for (const { name, outputSchema } of tools) {
    expect(outputSchema).toMatchObject({ type: "object" });
    const error = await refusalOf(joined, name, { nonsense: 1 });
    expect(error, name).toMatchObject({ code: "input_invalid", fix: expect.any(String) });
  }
  expect(await answerOf(joined, "tidebase_overview")).toMatchObject({ access: "read_write" });
  expect(await answerOf(joined, "tidebase_get_run", { runId: failed })).toMatchObject({
    run: { runId: failed, status: "failed" },
    verdict: { answer: "needs_review", nextAction: "review_step" },
  });
}

async function usesResourcesAndPrompts({ client }: Joined): Promise<void> {
  const { resourceTemplates } = await client.listResourceTemplates();
  expect(resourceTemplates.map(({ uriTemplate }) => uriTemplate)).toContain(RUN);
  const uri = `tidebase://runs/${failed}`;
  const { contents } = await client.readResource({ uri });
  expect(contents).toEqual([{ uri, mimeType: "application/json", text: expect.any(String) }]);
  expect(JSON.parse((contents[0] as { text: string }).text)).toMatchObject({
    run: { runId: failed },
  });
  const { completion } = await client.complete({
    ref: { type: "ref/resource", uri: RUN },
    argument: { name: "runId", value: failed.slice(0, -1) },
  });
  expect(completion.values).toContain(failed);
  const prompt = { name: "investigate_run", arguments: { runId: failed } };
  const { messages } = await client.getPrompt(prompt);
  expect(messages).toEqual([
    { role: "user", content: { type: "text", text: expect.stringContaining(failed) } },
  ]);
}

/**
 * Seconds for which the store has not been asked for events, asked again and again: a connection shows its
 * latest statement only. Nobody but the cell's server asks for them.
 */
function sinceEventsAsked(): () => Promise<number> {
  let askedAt = performance.now();
  return async () => {
    const { rows: found } = await db.pool.query(
      `select extract(epoch from clock_timestamp() - max(query_start))::float8 * 1000 as ms from pg_stat_activity
        where datname = current_database() and query like $1`,
      ["%/* events.list */%"],
    );
    const now = performance.now();
    askedAt = Math.max(askedAt, now - (found[0]?.ms ?? Number.POSITIVE_INFINITY));
    return (now - askedAt) / 1000;
  };
}

/** The call ends for the client at once, and for the server too: which looks for changes no more. */
async function takesCallBack(joined: Joined): Promise<number> {
  const runId = await db.pending();
  const taken = new AbortController();
  let takenAt = 0;
  const input = { runId, timeoutMs: 50_000 };
  const waiting = joined.callTool("tidebase_wait_for_run", input, {
    signal: taken.signal,
    onprogress() {
      takenAt = performance.now();
      taken.abort();
    },
  });
  await expect(waiting).rejects.toThrow();
  const took = performance.now() - takenAt;
  expect(took).toBeLessThan(1000);
  await answerOf(joined, "tidebase_get_run", { runId });
  const seconds = sinceEventsAsked();
  await expect.poll(seconds, { interval: 20 }).toBeGreaterThan(1.2); // it would ask each half second
  await answerOf(joined, "tidebase_wait_for_run", { runId, timeoutMs: 0 });
  return Math.round(took);
}

async function followsRun({ client, told }: Joined): Promise<number> {
  const lease = await db.begun();
  const uri = `tidebase://runs/${lease.runId}`;
  await client.subscribeResource({ uri });
  const since = performance.now();
  await db.call("state.write", { ...lease, kind: "set", value: 1 });
  await expect.poll(() => told, { interval: 5 }).toEqual([uri]);
  const took = performance.now() - since;
  await client.unsubscribeResource({ uri });
  return Math.round(took);
}

/** The outcome of a gate: the human's by a form, or that a human is needed where no form is shown. */
async function resolvesGate(joined: Joined, human?: ReturnType<typeof newHuman>): Promise<string> {
  const { gateId } = await openGate(db);
  const input = { gateId, proposedDecision: "approved" };
  if (human === undefined) {
    const error = await refusalOf(joined, "tidebase_resolve_gate", input);
    expect(error).toMatchObject({
      ...{ code: "gate_needs_human", outcome: "pendingHuman", required: "client_form" },
      message: expect.stringContaining("shows no forms"),
    });
    expect(await gateOf(db, gateId)).toMatchObject({ status: "open", decidedBy: null });
    return String(error.outcome);
  }
  human.fillsIn({ decision: "approved" });
  const answer = await answerOf(joined, "tidebase_resolve_gate", input);
  expect(answer).toMatchObject({ outcome: "approved", via: "form" });
  expect(human.forms).toHaveLength(1);
  expect(await gateOf(db, gateId)).toMatchObject({ status: "approved", via: "form" });
  return "approved";
}

/** What each client makes of the answer 401; one that negotiates keeps the server's words to itself. */
const REFUSED: Record<Kind, string> = {
  v1: "The API key is unknown, expired or revoked",
  "v2 legacy": "The API key is unknown, expired or revoked",
  "v2 auto": "the server requires authorization (HTTP 401)",
};

const CELLS = TRANSPORTS.flatMap((transport) =>
  KINDS.flatMap((kind) => ([true, false] as const).map((forms) => ({ transport, kind, forms }))),
);

describe("every client meets the same server", () => {
  test.each(
    CELLS.map(
      (cell) =>
        [
          `${cell.kind} over ${cell.transport}, ${cell.forms ? "with" : "without"} forms`,
          cell,
        ] as const,
    ),
  )("%s", async (_, { transport, kind, forms }) => {
    const human = forms ? newHuman() : undefined;
    const since = performance.now();
    const joined = await join(kind, serverBy(transport), human?.answerForm);
    const connectMs = Math.round(performance.now() - since);
    clients.push(joined);
    const { client, revision, told } = joined;
    expect(revision).toBe(REVISION);
    expect(client.getServerVersion()).toMatchObject({ name: "tidebase" });
    expect(client.getInstructions()).toContain("tidebase_overview");
    await usesTools(joined);
    await usesResourcesAndPrompts(joined);
    const gate = await resolvesGate(joined, human);
    const cancelMs = await takesCallBack(joined);
    const toldMs = await followsRun(joined);
    const cell = { client: kind, transport, forms: forms ? "yes" : "no", revision };
    rows.push({ ...cell, gate, connectMs, cancelMs, toldMs });
    expect(told).toHaveLength(1);
  });
});

test.each(TRANSPORTS)(
  "a client that insists on revision 2026-07-28 is told over %s that it is not offered",
  async (transport) => {
    await expect(joinByV2(serverBy(transport), { pin: "2026-07-28" })).rejects.toMatchObject({
      code: "ERA_NEGOTIATION_FAILED",
      message: expect.stringContaining("did not offer pinned protocol version 2026-07-28"),
    });
  },
);

test.each(KINDS)("a wrong key is refused when %s connects", async (kind) => {
  const { url } = serverBy("http") as { url: string };
  await expect(join(kind, { url, key: "tb_wrong" })).rejects.toThrow(REFUSED[kind]);
});
