import { createRequire } from "node:module";
import { fileURLToPath, pathToFileURL } from "node:url";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { InMemoryTransport } from "@modelcontextprotocol/sdk/inMemory.js";
import {
  type ElicitRequestFormParams,
  ElicitRequestSchema,
  type ElicitResult,
} from "@modelcontextprotocol/sdk/types.js";
import { afterAll, beforeAll, expect } from "vitest";
import type { TestDatabase } from "../../core/test/support/database.ts";
import { newGrant } from "../../core/test/support/database.ts";
import { createServer } from "../src/adapter-v1.ts";
import { connectLazily, openConnection } from "../src/connection.ts";
import type { Toolset } from "../src/tool.ts";
import { DEFAULT_TOOLSETS } from "../src/tool.ts";
import { toolsFor } from "../src/tools/index.ts";

type Environment = Readonly<Record<string, string>>;
/** A structured answer, read as a test needs it. */
// biome-ignore lint/suspicious/noExplicitAny: a test says by its expectations what it is
export type Answer = any;

export interface Agent {
  readonly client: Client;
  /** The structured answer; fails the test when the tool fails or the two copies differ. */
  call(name: string, input?: object): Promise<Answer>;
  /** The error of a call that must fail. */
  refused(name: string, input?: object): Promise<Answer>;
}

/** How a client answers a form, in place of its human. */
export type AnswerForm = (form: ElicitRequestFormParams) => ElicitResult | Promise<ElicitResult>;

/** A client, which shows forms when it is told how to answer them. */
function clientOf(answerForm?: AnswerForm): Client {
  const info = { name: "test", version: "0.0.0" };
  if (answerForm === undefined) return new Client(info);
  const client = new Client(info, { capabilities: { elicitation: { form: {} } } });
  client.setRequestHandler(ElicitRequestSchema, ({ params }) =>
    answerForm(params as ElicitRequestFormParams),
  );
  return client;
}

/** A client of our server in this process, on the store these variables name. */
export function useAgent(
  env: () => Environment,
  options: {
    readOnly?: boolean;
    allowWrites?: boolean;
    toolsets?: readonly Toolset[];
    answerForm?: AnswerForm;
  } = {},
): Agent {
  const { readOnly = false, allowWrites = false, toolsets = DEFAULT_TOOLSETS } = options;
  const enqueues = toolsets.includes("start");
  const client = clientOf(options.answerForm);
  const connection = connectLazily(() =>
    openConnection({ env: env(), cwd: "/", readOnly, allowWrites, enqueues }),
  );
  const tools = toolsFor({ readOnly, toolsets });
  const server = createServer({ tools, connection, version: "0.0.0" });
  beforeAll(async () => {
    const [near, far] = InMemoryTransport.createLinkedPair();
    await server.connect(far);
    await client.connect(near);
    await client.listTools(); // from now on the client holds every answer against its schema
  });
  afterAll(async () => {
    await client.close();
    await connection.close();
  });
  return agentOf(client);
}

export function agentOf(client: Client): Agent {
  return {
    client,
    async call(name, input = {}) {
      const { isError, content, structuredContent } = await client.callTool({
        name,
        arguments: { ...input },
      });
      expect(isError, JSON.stringify(content)).toBeUndefined();
      expect(content).toEqual([{ type: "text", text: JSON.stringify(structuredContent) }]);
      return structuredContent;
    },
    async refused(name, input = {}) {
      const answer = await client.callTool({ name, arguments: { ...input } });
      expect(answer).toMatchObject({ isError: true, content: [{ type: "text" }] });
      expect(answer).not.toHaveProperty("structuredContent");
      const [block] = answer.content as { text: string }[];
      return JSON.parse(block?.text ?? "").error;
    },
  };
}

/** By its full path, so that the program may run in any folder. */
const TSX = pathToFileURL(createRequire(import.meta.url).resolve("tsx")).href;
const SOURCE = ["--import", TSX, "--conditions=tidebase-source"];

/** How the program is started from its source. */
export function program(...options: string[]): string[] {
  return [...SOURCE, fileURLToPath(new URL("../src/main.ts", import.meta.url)), ...options];
}

/** A client of the program in a process of its own. */
export async function startAgent(
  env: Environment,
  args: string[] = program(),
  answerForm?: AnswerForm,
): Promise<Agent & { pid: number | null; stderr(): string; close(): Promise<void> }> {
  const transport = new StdioClientTransport({
    command: process.execPath,
    args,
    env: { PATH: process.env["PATH"] ?? "", ...env },
    stderr: "pipe",
  });
  let stderr = "";
  transport.stderr?.on("data", (part) => {
    stderr += part;
  });
  const client = clientOf(answerForm);
  await client.connect(transport);
  return {
    ...agentOf(client),
    pid: transport.pid,
    stderr: () => stderr,
    close: () => client.close(),
  };
}

export interface FailedRun {
  readonly runId: string;
}

/** A run whose first step is recorded, whose second failed, and that failed with it. */
export async function failedRun(
  db: TestDatabase,
  {
    workflow = "report",
    message = "The mail server refused",
    sideEffects = ["mail"],
  }: { workflow?: string; message?: string; sideEffects?: string[] } = {},
): Promise<FailedRun> {
  const { runId } = (await db.call("runs.create", {
    workflow,
    input: { customer: 7 },
    tags: ["weekly"],
    metadata: { team: "blue" },
  })) as { runId: string };
  const grantId = newGrant();
  const { epoch } = await db.call("runs.begin", {
    runId,
    grantId,
    holder: { host: "laptop", pid: 42 },
    resumeHint: { command: ["node", "report.js", "--run", runId], cwd: "/srv/report" },
  });
  const lease = { runId, epoch, grantId };
  await db.call("steps.complete", {
    items: [{ ...lease, name: "load", key: "", output: { rows: 3 } }],
  });
  const contract = { sideEffects };
  await db.call("steps.begin", { items: [{ ...lease, name: "send", key: "1", contract }] });
  const error = {
    name: "MailError",
    message,
    stack: `MailError: ${message}\n    at send (mail.js:7)`,
  };
  await db.call("steps.fail", {
    items: [{ ...lease, name: "send", key: "1", contract, error, message: message.slice(0, 2000) }],
  });
  await db.call("state.write", { ...lease, kind: "set", value: { sent: 0, plan: ["a", "b"] } });
  await db.call("state.write", {
    ...lease,
    kind: "patch",
    value: { sent: 1 },
    label: "before mail",
  });
  await db.call("runs.fail", { ...lease, error, failureClass: "step_failed" });
  return { runId };
}
