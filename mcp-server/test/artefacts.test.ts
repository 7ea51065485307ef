import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { parse as parseToml } from "smol-toml";
import { expect, test } from "vitest";
import { z } from "zod";
import { artefacts } from "../scripts/artefacts.ts";
import { HELP } from "../src/arguments.ts";
import { CLIENTS, launchOf, PACKAGE, SERVER_NAME } from "../src/install/clients.ts";
import { INSTALL_HELP } from "../src/install/options.ts";
import {
  ADD_BY_COMMAND,
  cursorLink,
  fileWithEntry,
  installLine,
  vscodeLink,
} from "../src/install/snippets.ts";
import { TOOLSETS } from "../src/tool.ts";
import { toolsFor } from "../src/tools/index.ts";

const read = (path: string): string =>
  readFileSync(fileURLToPath(new URL(`../../${path}`, import.meta.url)), "utf8");
const about = JSON.parse(read("mcp-server/package.json"));
const guide = read("docs/install-mcp.md");
const readme = read("mcp-server/README.md");

test.each(Object.entries(artefacts()))(
  "%s is what the package and its tables say",
  (path, text) => {
    expect(read(path), "stale: npm run artefacts -w mcp-server").toBe(text);
  },
);

/** The registry's rules (schema of 2025-12-11, and what it checks besides), as far as we use them. */
const RegistryEntry = z.strictObject({
  $schema: z.literal(
    "https://static.modelcontextprotocol.io/schemas/2025-12-11/server.schema.json",
  ),
  name: z
    .string()
    .regex(/^[a-zA-Z0-9.-]+\/[a-zA-Z0-9._-]+$/)
    .max(200),
  title: z.string().min(1).max(100),
  description: z.string().min(1).max(100),
  version: z.string().regex(/^\d+\.\d+\.\d+/),
  packages: z.array(
    z.strictObject({
      registryType: z.literal("npm"),
      identifier: z.literal(PACKAGE),
      version: z.literal(about.version),
      runtimeHint: z.literal("npx"),
      transport: z.strictObject({ type: z.literal("stdio") }),
      environmentVariables: z.array(
        z.strictObject({
          name: z.string().regex(/^TIDEBASE_[A-Z_]+$/),
          description: z.string().min(1),
          format: z.enum(["string", "number", "boolean", "filepath"]),
          isRequired: z.boolean(),
          isSecret: z.boolean(),
        }),
      ),
    }),
  ),
});

test("server.json keeps the registry's rules, and names the package that names it", () => {
  const entry = RegistryEntry.parse(JSON.parse(read("mcp-server/server.json")));
  expect(entry).toMatchObject({ name: about.mcpName, version: about.version });
  expect(about).toMatchObject({ name: PACKAGE, license: "Apache-2.0" });
});

test("no artefact has a variable that the server does not know", () => {
  const { packages } = JSON.parse(read("mcp-server/server.json"));
  const named = packages[0].environmentVariables.map(({ name }: { name: string }) => name);
  const { env } = JSON.parse(read("mcp-server/manifest.json")).server.mcp_config;
  expect(Object.keys(env)).toEqual(named);
  for (const name of named)
    expect({ name, helped: HELP.includes(name) }).toEqual({ name, helped: true });
});

test("the guide shows every client's file as install writes it", () => {
  const shown = [
    ...guide.matchAll(/<!-- ([\w-]+) -->\n```(json|toml)(?: install)?\n([\s\S]*?)```/g),
  ];
  expect(shown.map(([, id]) => id)).toEqual([
    ...["claude-code", "cursor", "vscode", "codex", "gemini-cli"],
  ]);
  for (const [, id = "", language, text = ""] of shown) {
    const parsed = language === "json" ? JSON.parse(text) : parseToml(text);
    expect(JSON.parse(JSON.stringify(parsed))).toEqual(fileWithEntry(id));
  }
});

test("the guide and the README name every client and the line that adds the server to it", () => {
  for (const client of CLIENTS) {
    expect(guide).toContain(`\n${installLine(client)}`);
    expect(readme).toContain(`| ${client.title} |`);
  }
  for (const line of Object.values(ADD_BY_COMMAND)) expect(guide).toContain(`\n${line}\n`);
  for (const id of ["claude-code", "codex"] as const)
    expect(readme).toContain(`\`${ADD_BY_COMMAND[id]}\``);
  for (const client of CLIENTS.filter(({ id }) => id !== "claude-code" && id !== "codex"))
    expect(readme).toContain(`\`${installLine(client)}\``);
});

test("the links of the guide hold what the clients shall start", () => {
  const links = guide.match(/(?:cursor:\/\/|https:\/\/(?:cursor\.com\/en|vscode\.dev)\/)[^\s)`]+/g);
  expect(links).toEqual([cursorLink("page"), cursorLink("program"), vscodeLink()]);
  for (const link of links ?? []) {
    const { searchParams } = new URL(link);
    const config = searchParams.get("config") ?? "";
    const text = config.startsWith("{") ? config : Buffer.from(config, "base64").toString();
    expect(searchParams.get("name")).toBe(SERVER_NAME);
    expect(JSON.parse(text)).toEqual({ ...launchOf() });
  }
});

test("the README names every tool, and every option and variable of the help", () => {
  const named = [...readme.matchAll(/^\| `(tidebase_\w+)` \|/gm)].map(([, name]) => name);
  expect(named).toEqual(toolsFor({ readOnly: false, toolsets: TOOLSETS }).map(({ name }) => name));
  for (const [word] of HELP.matchAll(/--[a-z-]+|\bTIDEBASE_[A-Z_]+/g))
    expect({ word, shown: readme.includes(word) }).toEqual({ word, shown: true });
  for (const [option] of INSTALL_HELP.matchAll(/(?<=^ {2})--[a-z-]+/gm))
    if (option !== "--help")
      expect({ option, shown: guide.includes(option) }).toEqual({ option, shown: true });
});

test("the plugins start the package that is published", () => {
  expect(read("plugins/tidebase/start.mjs")).toContain(`"npx", ["-y", "${PACKAGE}",`);
});
