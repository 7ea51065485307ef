import { posix, win32 } from "node:path";
import type { Environment } from "@tidebase/core";

/** The npm package that clients start. */
export const PACKAGE = "@tidebase/mcp";
/** What clients call the server, unless told another name. */
export const SERVER_NAME = "tidebase";

export type Scope = "project" | "user";

/** What a client starts: a program on its standard input and output. */
export interface Launch {
  readonly command: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

/** The machine, as far as it says where clients keep their files. */
export interface Place {
  readonly platform: NodeJS.Platform;
  /** The user's folder. */
  readonly home: string;
  /** The project's folder. */
  readonly cwd: string;
  readonly env: Environment;
}

/** A program that can be told to start us: which file it reads, and how our entry looks in it. */
export interface ClientProgram {
  readonly id: string;
  readonly title: string;
  readonly format: "json" | "toml";
  /** The member of the file under which the servers are named. */
  readonly member: string;
  /** The entry says `"type": "stdio"`. */
  readonly typed?: true;
  /** Where its file is; the first scope is taken when none is named. */
  readonly files: Partial<Record<Scope, (place: Place) => string>>;
  /** What the person does next. */
  readonly afterwards: string;
}

/** Every client that `install` knows, in the order of the help. */
export const CLIENTS: readonly ClientProgram[] = [
  {
    ...{ id: "claude-code", title: "Claude Code", format: "json", member: "mcpServers" },
    typed: true,
    files: {
      project: ({ cwd, ...place }) => join(place, cwd, ".mcp.json"),
      user: (place) => join(place, place.env["CLAUDE_CONFIG_DIR"] || place.home, ".claude.json"),
    },
    afterwards:
      "Start Claude Code anew and look at /mcp; a project's server asks for your approval.",
  },
  {
    ...{ id: "cursor", title: "Cursor", format: "json", member: "mcpServers" },
    files: {
      project: (place) => join(place, place.cwd, ".cursor", "mcp.json"),
      user: (place) => join(place, place.home, ".cursor", "mcp.json"),
    },
    afterwards: "Switch the server on in Cursor's settings, under MCP.",
  },
  {
    ...{ id: "vscode", title: "VS Code", format: "json", member: "servers" },
    typed: true,
    files: {
      project: (place) => join(place, place.cwd, ".vscode", "mcp.json"),
      user: (place) => join(place, settingsFolder(place), "Code", "User", "mcp.json"),
    },
    afterwards: "Start the server with the command “MCP: List Servers”.",
  },
  {
    ...{ id: "codex", title: "Codex", format: "toml", member: "mcp_servers" },
    files: {
      user: (place) =>
        join(place, place.env["CODEX_HOME"] || join(place, place.home, ".codex"), "config.toml"),
    },
    afterwards: "Start Codex anew; `codex mcp list` shows the server.",
  },
  {
    ...{ id: "claude-desktop", title: "Claude Desktop", format: "json", member: "mcpServers" },
    files: {
      user: (place) => join(place, settingsFolder(place), "Claude", "claude_desktop_config.json"),
    },
    afterwards: "Quit Claude Desktop and start it anew.",
  },
  {
    ...{ id: "gemini-cli", title: "Gemini CLI", format: "json", member: "mcpServers" },
    files: {
      project: (place) => join(place, place.cwd, ".gemini", "settings.json"),
      user: (place) => join(place, place.home, ".gemini", "settings.json"),
    },
    afterwards: "Start Gemini CLI anew and look at /mcp.",
  },
  {
    ...{ id: "windsurf", title: "Windsurf", format: "json", member: "mcpServers" },
    files: {
      user: (place) => join(place, place.home, ".codeium", "windsurf", "mcp_config.json"),
    },
    afterwards: "Refresh the servers in Windsurf's settings.",
  },
];

function join({ platform }: Pick<Place, "platform">, ...parts: string[]): string {
  return (platform === "win32" ? win32 : posix).join(...parts);
}

/** Where desktop programs keep their settings. */
function settingsFolder(place: Place): string {
  const { platform, home, env } = place;
  if (platform === "win32") return env["APPDATA"] || join(place, home, "AppData", "Roaming");
  if (platform === "darwin") return join(place, home, "Library", "Application Support");
  return env["XDG_CONFIG_HOME"] || join(place, home, ".config");
}

/**
 * How clients start the published package. Windows finds `npx` only through `cmd`: it is a script
 * there, and programs start no scripts.
 */
export function launchOf({
  platform = "linux",
  options = [],
}: {
  readonly platform?: NodeJS.Platform;
  readonly options?: readonly string[];
} = {}): Launch {
  const npx = ["-y", PACKAGE, ...options];
  if (platform === "win32") return { command: "cmd", args: ["/c", "npx", ...npx] };
  return { command: "npx", args: npx };
}

/** Our entry in a client's file, when there was none. */
export function entryOf({ typed }: ClientProgram, { command, args, env = {} }: Launch): object {
  const variables = Object.keys(env).length === 0 ? {} : { env };
  return { ...(typed === true ? { type: "stdio" } : {}), command, args, ...variables };
}
