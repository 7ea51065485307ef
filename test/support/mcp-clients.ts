import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio";
import { Client as ClientOfV1 } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport as StdioOfV1 } from "@modelcontextprotocol/sdk/client/stdio.js";
import { StreamableHTTPClientTransport as HttpOfV1 } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import type { Transport as TransportOfV1 } from "@modelcontextprotocol/sdk/shared/transport.js";
import {
  type ElicitRequestFormParams,
  ElicitRequestSchema,
  ResourceUpdatedNotificationSchema,
} from "@modelcontextprotocol/sdk/types.js";
import type { AnswerForm } from "../../mcp-server/test/support.ts";

/** The lines of client there are, and how each finds out what the server speaks. */
export const KINDS = ["v1", "v2 legacy", "v2 auto"] as const;
export type Kind = (typeof KINDS)[number];

/** How a server is reached: a program to start, or an address and its key. */
export type Server =
  | { readonly args: readonly string[]; readonly env: Readonly<Record<string, string>> }
  | { readonly url: string; readonly key: string };

/** What a tool answered. */
export interface ToolAnswer {
  readonly isError?: boolean | undefined;
  readonly content: readonly unknown[];
  readonly structuredContent?: unknown;
}

/** What both lines of client offer, called alike. */
export interface Calls {
  listTools(): Promise<{ tools: { name: string; outputSchema?: object | undefined }[] }>;
  listResourceTemplates(): Promise<{ resourceTemplates: { uriTemplate: string }[] }>;
  readResource(given: { uri: string }): Promise<{ contents: object[] }>;
  complete(given: {
    ref: { type: "ref/resource"; uri: string };
    argument: { name: string; value: string };
  }): Promise<{ completion: { values: string[] } }>;
  getPrompt(given: { name: string; arguments: Record<string, string> }): Promise<{
    messages: { role: string; content: object }[];
  }>;
  subscribeResource(given: { uri: string }): Promise<unknown>;
  unsubscribeResource(given: { uri: string }): Promise<unknown>;
  getServerVersion(): { name: string; version: string } | undefined;
  getInstructions(): string | undefined;
}

/** A connected client. */
export interface Joined {
  readonly client: Calls;
  /** The revision of the protocol that was agreed upon. */
  readonly revision: string | undefined;
  /** The URIs it was told have changed, in order. */
  readonly told: readonly string[];
  callTool(
    name: string,
    input: object,
    options?: { signal?: AbortSignal; onprogress?: () => void },
  ): Promise<ToolAnswer>;
  /** Ends the session and what runs it. */
  leave(): Promise<void>;
}

const INFO = { name: "test", version: "0.0.0" };
const FORMS = { capabilities: { elicitation: { form: {} } } };

/** A client of this kind, which shows forms when it is told how to answer them. */
export function join(kind: Kind, server: Server, answerForm?: AnswerForm): Promise<Joined> {
  if (kind === "v1") return joinByV1(server, answerForm);
  return joinByV2(server, kind === "v2 legacy" ? "legacy" : "auto", answerForm);
}

/** A client of the first line, which knows revisions up to 2025-11-25. */
async function joinByV1(server: Server, answerForm?: AnswerForm): Promise<Joined> {
  const client = new ClientOfV1(INFO, answerForm === undefined ? {} : FORMS);
  const told: string[] = [];
  client.setNotificationHandler(ResourceUpdatedNotificationSchema, ({ params }) => {
    told.push(params.uri);
  });
  if (answerForm !== undefined)
    client.setRequestHandler(ElicitRequestSchema, ({ params }) =>
      answerForm(params as ElicitRequestFormParams),
    );
  const http = "url" in server ? new HttpOfV1(new URL(server.url), withKey(server.key)) : undefined;
  const transport = (http ?? new StdioOfV1(launch(server))) as TransportOfV1;
  let revision: string | undefined;
  transport.onmessage = (message) => {
    if ("result" in message) revision ??= message.result["protocolVersion"] as string | undefined;
  };
  await client.connect(transport);
  return {
    ...{ client, revision, told },
    callTool: (name, input, options) =>
      client.callTool({ name, arguments: { ...input } }, undefined, options) as Promise<ToolAnswer>,
    async leave() {
      await http?.terminateSession();
      await client.close();
    },
  };
}

/**
 * A client of the second line: legacy asks for no revision of the second era, auto looks for one first, and
 * a pinned revision is taken or nothing is.
 */
export async function joinByV2(
  server: Server,
  mode: "legacy" | "auto" | { pin: string },
  answerForm?: AnswerForm,
): Promise<Joined> {
  const versionNegotiation = { mode };
  const client = new Client(INFO, {
    ...(answerForm !== undefined && FORMS),
    ...(mode !== "legacy" && { versionNegotiation }),
  });
  const told: string[] = [];
  client.setNotificationHandler("notifications/resources/updated", ({ params }) => {
    told.push(params.uri);
  });
  if (answerForm !== undefined)
    client.setRequestHandler("elicitation/create", ({ params }) =>
      answerForm(params as ElicitRequestFormParams),
    );
  const http =
    "url" in server
      ? new StreamableHTTPClientTransport(new URL(server.url), withKey(server.key))
      : undefined;
  await client.connect(http ?? new StdioClientTransport(launch(server)));
  return {
    ...{ client, told, revision: client.getNegotiatedProtocolVersion() },
    callTool: (name, input, options) =>
      client.callTool({ name, arguments: { ...input } }, options) as Promise<ToolAnswer>,
    async leave() {
      await http?.terminateSession();
      await client.close();
    },
  };
}

function withKey(key: string) {
  return { requestInit: { headers: { authorization: `Bearer ${key}` } } };
}

function launch(server: Server) {
  if ("url" in server) throw new Error("It runs already.");
  const env = { PATH: process.env["PATH"] ?? "", ...server.env };
  return {
    command: process.execPath,
    args: [...server.args],
    env,
    stderr: "ignore" as const,
  };
}
