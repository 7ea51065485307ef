import { readFileSync } from "node:fs";
import { PACKAGE, SERVER_NAME } from "../src/install/clients.ts";
import { fileWithEntry } from "../src/install/snippets.ts";
import { DEFAULT_TOOLSETS, TOOLSETS } from "../src/tool.ts";
import { toolsFor } from "../src/tools/index.ts";

const about = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8")) as {
  version: string;
  license: string;
  mcpName: string;
  keywords: string[];
};
const { version, license, keywords } = about;
/** At most 100 characters: the registry takes no more. */
const DESCRIPTION =
  "Durable runs for AI agents: evidence, safe recovery and human approval gates, in Postgres.";
const TITLE = "Tidebase";
const AUTHOR = { name: "Tidebase" };

/** What may be set for the server, as catalogues describe it to people. */
const VARIABLES = [
  {
    name: "TIDEBASE_URL",
    title: "Tidebase server",
    description: "URL of a Tidebase server; without it a database is used directly.",
    secret: false,
  },
  {
    name: "TIDEBASE_API_KEY",
    title: "API key",
    description: "API key of the Tidebase server that TIDEBASE_URL names.",
    secret: true,
  },
  {
    name: "TIDEBASE_DATABASE_URL",
    title: "Database",
    description: "URL of the Postgres that holds the store; without any, an embedded one is used.",
    secret: true,
  },
] as const;

/** The entry of the MCP registry (schema of 2025-12-11). */
function registryEntry(): object {
  const environmentVariables = VARIABLES.map(({ name, description, secret }) => ({
    ...{ name, description, format: "string", isRequired: false, isSecret: secret },
  }));
  const transport = { type: "stdio" };
  const npm = { registryType: "npm", identifier: PACKAGE, version, runtimeHint: "npx" };
  return {
    $schema: "https://static.modelcontextprotocol.io/schemas/2025-12-11/server.schema.json",
    ...{ name: about.mcpName, title: TITLE, description: DESCRIPTION, version },
    packages: [{ ...npm, transport, environmentVariables }],
  };
}

/** The MCPB bundle's manifest: what Claude Desktop asks for, and how it starts the server. */
function bundleManifest(): object {
  const option = (name: string) => name.toLowerCase().replace("tidebase_", "");
  const settings = VARIABLES.map(({ name, title, description, secret }) => [
    option(name),
    { type: "string", title, description, required: false, sensitive: secret },
  ]);
  const env = VARIABLES.map(({ name }) => [name, `\${user_config.${option(name)}}`]);
  return {
    manifest_version: "0.3",
    ...{ name: SERVER_NAME, display_name: TITLE, version, description: DESCRIPTION },
    ...{ author: AUTHOR, license, keywords },
    server: {
      ...{ type: "node", entry_point: "start.mjs" },
      mcp_config: {
        ...{ command: "node", args: [`\${__dirname}/start.mjs`] },
        env: Object.fromEntries(env),
      },
    },
    ...{ tools_generated: true, prompts_generated: true },
    compatibility: { platforms: ["darwin", "win32", "linux"], runtimes: { node: ">=20" } },
    user_config: Object.fromEntries(settings),
  };
}

function plugin(): object {
  const name = SERVER_NAME;
  return { name, version, description: DESCRIPTION, author: AUTHOR, license, keywords };
}

/** The plugin starts npx by a program of its own, which does it rightly on every system. */
function pluginServers(): object {
  const server = { command: "node", args: [`\${CLAUDE_PLUGIN_ROOT}/start.mjs`] };
  return { mcpServers: { [SERVER_NAME]: server } };
}

function marketplace(): object {
  const entry = { name: SERVER_NAME, source: `./plugins/${SERVER_NAME}` };
  return {
    ...{ name: SERVER_NAME, owner: AUTHOR },
    metadata: { description: DESCRIPTION, version },
    plugins: [{ ...entry, description: DESCRIPTION, license, keywords }],
  };
}

/** Every tool that a server can offer: its name, what comes back, and what it may change. */
export function toolTable(): string {
  const rows = toolsFor({ readOnly: false, toolsets: TOOLSETS }).map((tool) => {
    const { name, description, toolset, annotations } = tool;
    const kind = annotations.readOnlyHint ? "reads" : "writes";
    const asked = DEFAULT_TOOLSETS.includes(toolset) ? "" : ` (with \`--toolsets …,${toolset}\`)`;
    const [first = ""] = description.split(/(?<=[.:;]) /);
    return `| \`${name}\` | ${kind} | ${first.replace(/[:;]$/, ".")}${asked} |`;
  });
  return ["| tool | | what comes back |", "| --- | --- | --- |", ...rows].join("\n");
}

const README = "mcp-server/README.md";
const TABLE = /(<!-- tools[^\n]*-->\n)[\s\S]*?(\n<!-- end of tools -->)/;

function readme(): string {
  const text = readFileSync(new URL("../README.md", import.meta.url), "utf8");
  if (!TABLE.test(text)) throw new Error(`${README} has no marks around the table of tools.`);
  return text.replace(TABLE, (_, begin, end) => `${begin}${toolTable()}${end}`);
}

const WIDTH = 100;

/** As the formatter writes it: a list of words on one line where there is room. */
function json(value: object): string {
  const list = /^(.*)\[\n((?:\s*"(?:[^"\\]|\\.)*",?\n)+)\s*\](,?)$/gm;
  const text = JSON.stringify(value, null, 2).replaceAll(list, (whole, begin, words, end) => {
    const line = `${begin}[${words.trim().replaceAll(/\n\s*/g, " ")}]${end}`;
    return line.length > WIDTH ? whole : line;
  });
  return `${text}\n`;
}

/** What is written from the package, the clients' table and the registry of tools, by path from the root. */
export function artefacts(): Readonly<Record<string, string>> {
  return {
    "mcp-server/server.json": json(registryEntry()),
    "mcp-server/manifest.json": json(bundleManifest()),
    ".claude-plugin/marketplace.json": json(marketplace()),
    "plugins/tidebase/.claude-plugin/plugin.json": json(plugin()),
    "plugins/tidebase/.mcp.json": json(pluginServers()),
    "plugins/tidebase/.cursor-plugin/plugin.json": json({ ...plugin(), mcpServers: "./mcp.json" }),
    "plugins/tidebase/mcp.json": json(fileWithEntry("cursor")),
    [README]: readme(),
  };
}
