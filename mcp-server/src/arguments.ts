import { parseArgs } from "node:util";
import { TOOLSETS, type Toolset } from "./tool.ts";
import { DEFAULT_TOOLSETS } from "./tools/index.ts";

/** What the command line asks for. */
export type Request =
  | {
      readonly kind: "serve";
      readonly readOnly: boolean;
      readonly allowWrites: boolean;
      readonly toolsets: readonly Toolset[];
    }
  | { readonly kind: "help" }
  | { readonly kind: "version" }
  | { readonly kind: "refused"; readonly because: string };

/** What `--help` prints. */
export const HELP = `tidebase-mcp: Tidebase for coding agents, over MCP on standard input and output.

Usage: tidebase-mcp [options]

Options:
  --read-only      write nothing, and offer no tool that writes
  --allow-writes   write also to a database on another machine
  --toolsets LIST  offer these sets of tools, of runs,gates,ops,start (default: runs,gates,ops);
                   start queues new runs
  --version        print the version
  --help           print this

The store is found at the first call of a tool: TIDEBASE_URL (with TIDEBASE_API_KEY), then
TIDEBASE_DATABASE_URL, then DATABASE_URL of the environment or the project's .env when that database
holds a Tidebase store, else the embedded Postgres.

TIDEBASE_RUN_ID      the run that this client executes: its gates are not decided through it
TIDEBASE_PUBLIC_URL  where humans find the gates' pages, when the store is no TIDEBASE_URL
TIDEBASE_GATE_FLOOR  the least that any gate asks for: client_form, code or signed_in
`;

/** Reads the command line. Without a subcommand it is the server on stdio, always. */
export function readArguments(given: readonly string[]): Request {
  try {
    const { values } = parseArgs({
      args: [...given],
      options: {
        "read-only": { type: "boolean", default: false },
        "allow-writes": { type: "boolean", default: false },
        toolsets: { type: "string", default: DEFAULT_TOOLSETS.join(",") },
        version: { type: "boolean", default: false },
        help: { type: "boolean", default: false },
      },
    });
    if (values.help) return { kind: "help" };
    if (values.version) return { kind: "version" };
    const names = (values.toolsets ?? "").split(",").map((name) => name.trim());
    const unknown = names.find((name) => !isToolset(name));
    if (unknown !== undefined)
      return {
        kind: "refused",
        because: `--toolsets: there is no set ${JSON.stringify(unknown)}. Take some of ${TOOLSETS.join(",")}.`,
      };
    return {
      kind: "serve",
      readOnly: values["read-only"] === true,
      allowWrites: values["allow-writes"] === true,
      toolsets: names.filter(isToolset),
    };
  } catch (error) {
    return { kind: "refused", because: (error as Error).message };
  }
}

function isToolset(name: string): name is Toolset {
  return TOOLSETS.some((toolset) => toolset === name);
}
