import { setTimeout as delay } from "node:timers/promises";
import { completable } from "@modelcontextprotocol/sdk/server/completable.js";
import { McpServer, ResourceTemplate } from "@modelcontextprotocol/sdk/server/mcp.js";
import type { RequestHandlerExtra } from "@modelcontextprotocol/sdk/shared/protocol.js";
import {
  type CallToolResult,
  CreateMessageResultSchema,
  ElicitResultSchema,
  type ServerNotification,
  type ServerRequest,
  SetLevelRequestSchema,
  SubscribeRequestSchema,
  UnsubscribeRequestSchema,
} from "@modelcontextprotocol/sdk/types.js";
import { z } from "zod";
import type { ToolServer } from "../../mcp-server/src/adapter-v1.ts";
import { DEFAULTS, ENUMS, USER } from "./forms.ts";

/* The tools, resources and prompts that the official conformance suite looks for by name. */

/** One red pixel. */
const PNG =
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg==";
/** A RIFF header with nothing to hear. */
const WAV = "UklGRiQAAABXQVZFZm10IBAAAAABAAEAQB8AAIA+AAACABAAZGF0YQAAAAA=";
const IMAGE = { type: "image" as const, data: PNG, mimeType: "image/png" };
const PAUSE_MS = 50;

const text = (content: string) => ({ type: "text" as const, text: content });
const said = (content: string): CallToolResult => ({ content: [text(content)] });

/** A server of the suite's fixtures for one session. */
export function fixtureServer(): ToolServer {
  const server = new McpServer(
    { name: "tidebase-conformance", version: "0.0.0" },
    {
      capabilities: { logging: {}, completions: {}, resources: { subscribe: true } },
    },
  );
  addContent(server);
  addConversations(server);
  addResources(server);
  addPrompts(server);
  server.server.setRequestHandler(SetLevelRequestSchema, () => ({}));
  return {
    connect: (transport) => server.connect(transport),
    idle: async () => {},
    close: () => server.close(),
  };
}

/** Tools that answer with each kind of content. */
function addContent(server: McpServer): void {
  const answers: Record<string, CallToolResult["content"]> = {
    test_simple_text: [text("This is a simple text response for testing.")],
    test_image_content: [IMAGE],
    test_audio_content: [{ type: "audio", data: WAV, mimeType: "audio/wav" }],
    test_embedded_resource: [
      {
        type: "resource",
        resource: {
          uri: "test://embedded-resource",
          mimeType: "text/plain",
          text: "This is an embedded resource content.",
        },
      },
    ],
    test_multiple_content_types: [
      text("Multiple content types test:"),
      IMAGE,
      {
        type: "resource",
        resource: {
          uri: "test://mixed-content-resource",
          mimeType: "application/json",
          text: JSON.stringify({ test: "data", value: 123 }),
        },
      },
    ],
  };
  for (const [name, content] of Object.entries(answers))
    server.registerTool(name, { description: `Answers as ${name} says.` }, () => ({ content }));
  server.registerTool("test_error_handling", { description: "Always fails." }, () => {
    throw new Error("This tool intentionally returns an error for testing");
  });
}

/** Tools that speak to the client while they are being called. */
function addConversations(server: McpServer): void {
  server.registerTool(
    "test_tool_with_logging",
    { description: "Tells the log three times." },
    async (extra) => {
      const log = (data: string) =>
        extra.sendNotification({
          method: "notifications/message",
          params: { level: "info", logger: "fixtures", data },
        });
      await log("Tool execution started");
      await delay(PAUSE_MS);
      await log("Tool processing data");
      await delay(PAUSE_MS);
      await log("Tool execution completed");
      return said("It told the log three times.");
    },
  );
  server.registerTool(
    "test_tool_with_progress",
    { description: "Tells of its progress." },
    async ({ _meta, sendNotification }) => {
      for (const progress of [0, 50, 100]) {
        if (progress > 0) await delay(PAUSE_MS);
        const progressToken = _meta?.progressToken;
        if (progressToken !== undefined)
          await sendNotification({
            method: "notifications/progress",
            params: { progressToken, progress, total: 100 },
          });
      }
      return said("It told of its progress.");
    },
  );
  server.registerTool(
    "test_sampling",
    { description: "Asks the client's model.", inputSchema: { prompt: z.string() } },
    async ({ prompt }, { sendRequest }) => {
      const messages = [{ role: "user" as const, content: text(prompt) }];
      const { content } = await sendRequest(
        { method: "sampling/createMessage", params: { messages, maxTokens: 100 } },
        CreateMessageResultSchema,
      );
      return said(`LLM response: ${content.type === "text" ? content.text : content.type}`);
    },
  );
  server.registerTool(
    "test_elicitation",
    { description: "Asks the human.", inputSchema: { message: z.string() } },
    async ({ message }, extra) => said(`User response: ${await asked(extra, message, USER)}`),
  );
  for (const [name, form] of Object.entries({
    test_elicitation_sep1034_defaults: DEFAULTS,
    test_elicitation_sep1330_enums: ENUMS,
  }))
    server.registerTool(name, { description: "Asks the human by a form." }, async (extra) =>
      said(`Elicitation completed: ${await asked(extra, "Please fill this in.", form)}`),
    );
}

type Extra = RequestHandlerExtra<ServerRequest, ServerNotification>;

async function asked({ sendRequest }: Extra, message: string, form: object): Promise<string> {
  const params = { message, requestedSchema: form as typeof USER };
  const { action, content } = await sendRequest(
    { method: "elicitation/create", params },
    ElicitResultSchema,
  );
  return `action=${action}, content=${JSON.stringify(content ?? {})}`;
}

function addResources(server: McpServer): void {
  const watched = new Set<string>();
  const add = (name: string, mimeType: string, content: { text: string } | { blob: string }) => {
    const uri = `test://${name}`;
    const about = { description: `What is at ${uri}.`, mimeType };
    server.registerResource(name, uri, about, () => ({
      contents: [{ uri, mimeType, ...content }],
    }));
  };
  add("static-text", "text/plain", { text: "This is the content of the static text resource." });
  add("static-binary", "image/png", { blob: PNG });
  add("watched-resource", "text/plain", { text: "Somebody may subscribe to this." });
  server.registerResource(
    "template",
    new ResourceTemplate("test://template/{id}/data", { list: undefined }),
    { description: "Data of an id.", mimeType: "application/json" },
    (uri, { id }) => {
      const data = { id, templateTest: true, data: `Data for ID: ${String(id)}` };
      const content = { mimeType: "application/json", text: JSON.stringify(data) };
      return { contents: [{ uri: uri.href, ...content }] };
    },
  );
  server.server.setRequestHandler(SubscribeRequestSchema, ({ params }) => {
    watched.add(params.uri);
    return {};
  });
  server.server.setRequestHandler(UnsubscribeRequestSchema, ({ params }) => {
    watched.delete(params.uri);
    return {};
  });
}

function addPrompts(server: McpServer): void {
  const user = <Content>(...contents: Content[]) => ({
    messages: contents.map((content) => ({ role: "user" as const, content })),
  });
  server.registerPrompt("test_simple_prompt", { description: "Without arguments." }, () =>
    user(text("This is a simple prompt for testing.")),
  );
  server.registerPrompt(
    "test_prompt_with_arguments",
    {
      description: "With two arguments.",
      argsSchema: {
        arg1: completable(z.string(), (begun) => [`${begun}1`, `${begun}2`]),
        arg2: z.string(),
      },
    },
    ({ arg1, arg2 }) => user(text(`Prompt with arguments: arg1='${arg1}', arg2='${arg2}'`)),
  );
  server.registerPrompt(
    "test_prompt_with_embedded_resource",
    { description: "Embeds a resource.", argsSchema: { resourceUri: z.string() } },
    ({ resourceUri: uri }) => {
      const resource = {
        uri,
        mimeType: "text/plain",
        text: "Embedded resource content for testing.",
      };
      const embedded = { type: "resource" as const, resource };
      return user<typeof embedded | ReturnType<typeof text>>(
        embedded,
        text("Please process the embedded resource above."),
      );
    },
  );
  server.registerPrompt("test_prompt_with_image", { description: "Shows an image." }, () =>
    user<typeof IMAGE | ReturnType<typeof text>>(IMAGE, text("Please analyze the image above.")),
  );
}
