import { parseArgs } from "node:util";
import { closest } from "./closest.ts";
import { DEFAULT_TOOLSETS, TOOLSETS, type Toolset } from "./tool.ts";

/** What any server is told of its tools. */
export interface ToolSettings {
  readonly readOnly: boolean;
  readonly allowWrites: boolean;
  readonly toolsets: readonly Toolset[];
  /** Single tools besides those sets, by their full names. */
  readonly tools: readonly string[];
}

/** What the command line asks for. */
export type Request =
  /** `api`: whether the embedded store's HTTP API is served beside the tools. */
  | (ToolSettings & { readonly kind: "serve"; readonly api: boolean })
  | (ToolSettings & {
      readonly kind: "http";
      readonly port: number | undefined;
      readonly host: string | undefined;
    })
  /** The arguments are those behind the subcommand, which reads them itself. */
  | { readonly kind: "install"; readonly args: readonly string[] }
  | { readonly kind: "help" }
  | { readonly kind: "version" }
  | { readonly kind: "refused"; readonly because: string };

/** What `--help` prints. */
export const HELP = `tidebase-mcp: Tidebase for coding agents, over MCP.

Usage: tidebase-mcp [options]          serve one client on standard input and output
       tidebase-mcp http [options]     serve the HTTP API, and MCP beside it at /mcp
       tidebase-mcp install [options]  put this server into a client's configuration
                                       (install --help says more)

Options:
  --read-only      write nothing, and offer no tool that writes
  --allow-writes   write also to a database on another machine
  --toolsets LIST  offer these sets of tools, of runs,gates,ops,start (default: runs,gates,ops);
                   start queues new runs
  --tools LIST     offer these tools, such as get_run,list_runs: alone, or besides --toolsets
  --no-http        do not serve the HTTP API of the embedded Postgres
  --version        print the version
  --help           print this
of http alone:
  --port PORT      listen on this port, 0 for a free one (TIDEBASE_PORT, PORT; 7373)
  --host ADDRESS   listen on this address (TIDEBASE_HOST; 127.0.0.1)

The store is found at the first call of a tool: TIDEBASE_URL (with TIDEBASE_API_KEY), then
TIDEBASE_DATABASE_URL, then DATABASE_URL of the environment or the project's .env when that database
holds a Tidebase store, else the embedded Postgres. The embedded one is started soon after the client
has connected, and its HTTP API served on 127.0.0.1:7373 (TIDEBASE_PORT) while that port is free, so
that programs with the SDK find a server.

TIDEBASE_READ_ONLY   1 is --read-only
TIDEBASE_RUN_ID      the run that this client executes: its gates are not decided through it
TIDEBASE_PUBLIC_URL  where humans find the gates' pages, when the store is no TIDEBASE_URL
TIDEBASE_GATE_FLOOR  the least that any gate asks for: client_form, code or signed_in
`;

const SUBCOMMANDS = ["http", "install"];

const FLAG = { type: "boolean", default: false } as const;
const COMMON = {
  "read-only": FLAG,
  "allow-writes": FLAG,
  toolsets: { type: "string", multiple: true },
  tools: { type: "string", multiple: true },
  version: FLAG,
  help: FLAG,
} as const;
const STDIO = { ...COMMON, "no-http": FLAG } as const;
const HTTP = { ...COMMON, port: { type: "string" }, host: { type: "string" } } as const;

/** Reads the command line. Without a subcommand it is the server on stdio, always. */
export async function readArguments(given: readonly string[]): Promise<Request> {
  const [first = "-", ...rest] = given;
  try {
    if (first === "install") return { kind: "install", args: rest };
    if (first === "http") return await readHttp(rest);
    if (!first.startsWith("-")) throw new RefusedError(noSubcommand(first));
    return await readStdio(given);
  } catch (error) {
    return { kind: "refused", because: (error as Error).message };
  }
}

async function readStdio(args: readonly string[]): Promise<Request> {
  const { values } = parseArgs({ args: [...args], options: STDIO });
  const api = !values["no-http"];
  return printed(values) ?? { kind: "serve", ...(await toolSettings(values)), api };
}

async function readHttp(args: readonly string[]): Promise<Request> {
  const { values } = parseArgs({ args: [...args], options: HTTP });
  const { host } = values;
  const port = portOf(values);
  return printed(values) ?? { kind: "http", ...(await toolSettings(values)), port, host };
}

/** What is wrong with the command line, for the human. */
class RefusedError extends Error {
  override readonly name = "RefusedError";
}

function noSubcommand(name: string): string {
  const guess = closest(name, SUBCOMMANDS);
  const way =
    guess === undefined ? `There are ${SUBCOMMANDS.join(" and ")}.` : `Did you mean ${guess}?`;
  return `There is no subcommand ${JSON.stringify(name)}. ${way}`;
}

function printed({ help, version }: Given): Request | undefined {
  if (help === true) return { kind: "help" };
  return version === true ? { kind: "version" } : undefined;
}

/** Options that both servers take. */
interface Given {
  readonly "read-only"?: boolean | undefined;
  readonly "allow-writes"?: boolean | undefined;
  readonly help?: boolean | undefined;
  readonly version?: boolean | undefined;
  readonly toolsets?: readonly string[] | undefined;
  readonly tools?: readonly string[] | undefined;
}

/** Single tools are offered alone, unless sets are named besides. */
async function toolSettings(given: Given): Promise<ToolSettings> {
  const tools = given.tools === undefined ? [] : await toolsOf(given.tools);
  const usual = given.tools === undefined ? DEFAULT_TOOLSETS : [];
  const toolsets = given.toolsets === undefined ? usual : toolsetsOf(given.toolsets);
  const readOnly = given["read-only"] === true;
  return { readOnly, allowWrites: given["allow-writes"] === true, toolsets, tools };
}

function toolsetsOf(given: readonly string[]): Toolset[] {
  const names = listOf(given);
  const unknown = names.find((name) => !isToolset(name));
  if (unknown === undefined) return names.filter(isToolset);
  throw new RefusedError(
    `--toolsets: there is no set ${JSON.stringify(unknown)}. Take some of ${TOOLSETS.join(",")}.`,
  );
}

async function toolsOf(lists: readonly string[]): Promise<string[]> {
  const { TOOL_NAMES } = await import("./tools/index.ts"); // which nobody else needs this early
  return listOf(lists).map((given) => {
    const name = given.startsWith("tidebase_") ? given : `tidebase_${given}`;
    if (TOOL_NAMES.includes(name)) return name;
    const guess = closest(given, TOOL_NAMES);
    const way =
      guess === undefined ? `Take some of ${TOOL_NAMES.join(",")}.` : `Did you mean ${guess}?`;
    throw new RefusedError(`--tools: there is no tool ${JSON.stringify(given)}. ${way}`);
  });
}

/** An option that is given twice adds to itself. */
function listOf(given: readonly string[]): string[] {
  return given.flatMap((text) => text.split(",")).map((name) => name.trim());
}

function portOf({ port }: { port?: string | undefined }): number | undefined {
  if (port === undefined) return undefined;
  if (/^\d{1,5}$/.test(port) && Number(port) <= 65_535) return Number(port);
  throw new RefusedError(`--port: ${JSON.stringify(port)} is no number from 0 to 65535.`);
}

function isToolset(name: string): name is Toolset {
  return TOOLSETS.some((toolset) => toolset === name);
}
