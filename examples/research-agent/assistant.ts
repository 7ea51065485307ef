import { setTimeout as pause } from "node:timers/promises";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { outline } from "./outline.ts";
import { closeFirst, NODE_OPTIONS, ROOT } from "./processes.ts";
import { paint, say } from "./terminal.ts";

const NOTICED_MS = 10_000;

/** The answer of a tool: JSON objects all the way. */
type Answer = Record<string, unknown>;

/** A coding assistant's end of a connection to `tidebase-mcp`. */
interface Assistant {
  readonly tools: readonly string[];
  /** What the tool answers. Throws with its text when the tool refuses. */
  call(tool: string, args?: Answer): Promise<Answer>;
  close(): Promise<void>;
}

/** Starts the MCP server over stdio, as Claude Code or Cursor would, with this environment. */
async function connectAssistant(env: Record<string, string>): Promise<Assistant> {
  const client = new Client({ name: "tidebase-demo", version: "1.0.0" });
  const transport = new StdioClientTransport({
    command: process.execPath,
    args: [...NODE_OPTIONS, "mcp-server/src/main.ts", "--no-http"], // the demo has its own server
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
export async function showAssistant(
  env: Record<string, string>,
  runId: string,
  verbose: boolean,
): Promise<void> {
  const assistant = await connectAssistant(env);
  const ask = async (tool: string, args: Answer, members: readonly string[]): Promise<void> => {
    const answer = await assistant.call(tool, args);
    say(`${paint("yellow", `→ ${tool}`)} ${paint("dim", JSON.stringify(args))}`);
    for (const line of outline(verbose ? answer : select(answer, members))) say(`    ${line}`);
  };
  try {
    const names = assistant.tools.map((name) => name.replace("tidebase_", ""));
    say(paint("dim", `${names.length} tools: ${names.join(", ")}`));
    await untilNoticed(assistant, runId);
    await ask("tidebase_overview", {}, ["counts", "attention"]);
    await ask("tidebase_get_run", { runId }, ["status", "answer", "reason", "steps"]);
    await ask("tidebase_recover_run", { runId, dryRun: true }, [
      "replayedSteps",
      "runAgain",
      "held",
      "next",
      "resumeCommand",
    ]);
  } finally {
    await assistant.close();
  }
}

/** The sweep of lost workers sees within two seconds that the process is gone. */
async function untilNoticed(assistant: Assistant, runId: string): Promise<void> {
  for (const deadline = Date.now() + NOTICED_MS; Date.now() < deadline; await pause(100)) {
    const { verdict } = await assistant.call("tidebase_get_run", { runId });
    if ((verdict as { answer?: string } | undefined)?.answer !== "in_progress") return;
  }
}

/** The members of these names, wherever in the answer they are. */
function select(answer: Answer, names: readonly string[]): Answer {
  const members = membersOf(answer);
  return Object.fromEntries(
    names.flatMap((name) => members.filter(([found]) => found === name).slice(0, 1)),
  );
}

/** What users wrote stands apart in the answer, tied to its row by `n`: here they are one again. */
function membersOf(answer: Answer): [string, unknown][] {
  const { untrusted, run, verdict, ...plain } = answer;
  const foreign = (untrusted as { data?: Answer } | undefined)?.data ?? {};
  const written = rowsOf(foreign["steps"]);
  const own = Object.entries({ ...plain, ...(run as object), ...(verdict as object) });
  const joined = own.map(([name, member]): [string, unknown] => [
    name,
    ["steps", "runAgain", "held"].includes(name)
      ? rowsOf(member).map((row) => stepOf(row, written.find(({ n }) => n === row["n"]) ?? {}))
      : member,
  ]);
  return [...joined, ...Object.entries(foreign)];
}

function stepOf({ why }: Answer, { name, key, sideEffects, idempotencyKey }: Answer): Answer {
  const step = [name, key].filter(Boolean).join(":");
  return {
    step,
    sideEffects: rowsOf(sideEffects).join(", "),
    idempotencyKey: idempotencyKey ?? "",
    why,
  };
}

function rowsOf(member: unknown): Answer[] {
  return Array.isArray(member) ? (member as Answer[]) : [];
}
