import { setTimeout as pause } from "node:timers/promises";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { outline } from "./outline.ts";
import { closeFirst, NODE_OPTIONS, ROOT } from "./processes.ts";
import { paint, say } from "./terminal.ts";

const SETTLED_MS = 10_000;
const SHOWN = 24;

/** The answer of a tool: JSON objects all the way. */
export type Answer = Record<string, unknown>;

/** A coding assistant's end of a connection to `tidebase-mcp`. */
export interface Assistant {
  readonly tools: readonly string[];
  /** What the tool answers. Throws with its text when the tool refuses. */
  call(tool: string, args?: Answer): Promise<Answer>;
  close(): Promise<void>;
}

/** Starts the MCP server over stdio, as Claude Code or Cursor would, with this environment. */
export async function connectAssistant(env: Record<string, string>): Promise<Assistant> {
  const client = new Client({ name: "tidebase-demo", version: "1.0.0" });
  const transport = new StdioClientTransport({
    command: process.execPath,
    args: [...NODE_OPTIONS, "mcp-server/src/main.ts"],
    cwd: ROOT,
    env,
    stderr: "ignore",
  });
  closeFirst(() => client.close());
  await client.connect(transport);
  const { tools } = await client.listTools();
  return {
    tools: tools.map(({ name }) => name),
    async call(tool, args = {}) {
      const result = await client.callTool({ name: tool, arguments: args });
      const text = (result.content as { text?: string }[])[0]?.text ?? "";
      if (result.isError === true) throw new Error(`${tool}: ${text}`);
      return (result.structuredContent ?? JSON.parse(text)) as Answer;
    },
    close: () => client.close(),
  };
}

/** Asks the three questions of somebody who finds a dead run, and prints the answers. */
export async function showAssistant(env: Record<string, string>, runId: string): Promise<void> {
  const assistant = await connectAssistant(env);
  try {
    show("tidebase_overview", {}, await assistant.call("tidebase_overview"));
    const args = { runId };
    show("tidebase_get_run", args, await untilSettled(assistant, runId));
    const recovery = { runId, dryRun: true };
    show("tidebase_recover_run", recovery, await assistant.call("tidebase_recover_run", recovery));
  } finally {
    await assistant.close();
  }
}

/** The run as it is once the sweep of lost workers has seen that its process is gone. */
async function untilSettled(assistant: Assistant, runId: string): Promise<Answer> {
  for (const deadline = Date.now() + SETTLED_MS; ; await pause(100)) {
    const run = await assistant.call("tidebase_get_run", { runId });
    const verdict = run["verdict"] as { answer?: string } | undefined;
    if (verdict?.answer !== "in_progress" || Date.now() > deadline) return run;
  }
}

function show(tool: string, args: Answer, answer: Answer): void {
  say(`${paint("yellow", tool)} ${paint("dim", JSON.stringify(args))}`);
  const lines = outline(answer);
  for (const line of lines.slice(0, SHOWN)) say(`  ${line}`);
  if (lines.length > SHOWN) say(paint("dim", `  … ${lines.length - SHOWN} more lines`));
}
