import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { ElicitRequestSchema, type ElicitResult } from "@modelcontextprotocol/sdk/types.js";

/** A gate of the agent's own run that asks for more than the agent has. */
export interface Target {
  readonly gateId: string;
  readonly digest: string;
  readonly runId: string;
  readonly lease: { readonly runId: string; readonly epoch: number; readonly grantId: string };
}

/** What the human does meanwhile; the agent never sees what this returns but where an attempt says so. */
export interface Human {
  /** Makes a code for a decision on a gate, as `tidebase gates code` does. */
  code(gateId: string, decision: "approved" | "rejected"): Promise<string>;
  decide(target: Target, decision: "approved" | "rejected"): Promise<void>;
  /** Moves the database's clock. */
  later(interval: string): Promise<void>;
}

/** Everything an agent's process can hold: keys, network, MCP, logs, and another run of its own. */
export interface Agent {
  readonly url: string;
  readonly key: string;
  readonly target: Target;
  readonly other: Target;
  readonly human: Human;
  /** What the server's program and every MCP program have printed so far. */
  readonly logs: () => string;
  /** Calls the API as the agent; the status and the text that came back. */
  http(path: string, init?: RequestInit): Promise<{ status: number; text: string }>;
  post(path: string, body: unknown): Promise<{ status: number; text: string }>;
  /** Calls a tool of an MCP server that runs with the agent's key, whose client answers forms so. */
  tool(
    name: string,
    args: object,
    answer?: FormAnswer,
    env?: Record<string, string>,
  ): Promise<string>;
}

/** How a client answers every form without asking a human. */
export type FormAnswer = (requested: { properties?: Record<string, object> }) => ElicitResult;

/** One way to get the target approved. Whatever it throws is not its success. */
export interface Attempt {
  readonly name: string;
  run(agent: Agent): Promise<unknown>;
}

/** Starts an MCP program with these variables, calls one tool, and gives all that came back. */
export async function callTool(
  { args, cwd, env }: { args: string[]; cwd: string; env: Record<string, string> },
  { name, input, answer }: { name: string; input: object; answer: FormAnswer | undefined },
  heard: (text: string) => void,
): Promise<string> {
  const transport = new StdioClientTransport({
    command: process.execPath,
    args,
    cwd,
    env,
    stderr: "pipe",
  });
  const capabilities = answer === undefined ? {} : { elicitation: { form: {} } };
  const client = new Client({ name: "red-team", version: "1.0.0" }, { capabilities });
  if (answer !== undefined)
    client.setRequestHandler(ElicitRequestSchema, ({ params }) => {
      heard(JSON.stringify(params));
      return answer("requestedSchema" in params ? (params.requestedSchema as object) : {});
    });
  transport.stderr?.on("data", (chunk) => heard(String(chunk)));
  await client.connect(transport);
  try {
    return JSON.stringify(
      await client.callTool({ name, arguments: input as Record<string, unknown> }),
    );
  } finally {
    await client.close();
  }
}
