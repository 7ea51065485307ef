import { parseArgs } from "node:util";
import { closest } from "../closest.ts";
import { CLIENTS, type ClientProgram, type Scope, SERVER_NAME } from "./clients.ts";

/** What `tidebase-mcp install …` asks for. */
export interface InstallOptions {
  readonly client: ClientProgram;
  readonly scope: Scope;
  readonly name: string;
  readonly remove: boolean;
  readonly dryRun: boolean;
  readonly yes: boolean;
  readonly json: boolean;
  /** Start this very program instead of the published package. */
  readonly local: boolean;
  readonly env: Readonly<Record<string, string>>;
  /** Options of the server itself. */
  readonly options: readonly string[];
}

export type InstallRequest =
  | { readonly kind: "help" }
  | { readonly kind: "refused"; readonly because: string }
  | { readonly kind: "install"; readonly asked: InstallOptions };

const CLIENT_LINES = CLIENTS.map(
  ({ id, title, files }) => `  ${id.padEnd(16)}${title} (${Object.keys(files).join(", ")})`,
).join("\n");

/** What `install --help` prints. */
export const INSTALL_HELP = `tidebase-mcp install: puts the server into the configuration of a client.

Usage: tidebase-mcp install --client NAME [options] [-- OPTIONS OF THE SERVER]

Clients, and the scopes they have (the first is taken when none is named):
${CLIENT_LINES}

Options:
  --scope SCOPE    project: the file of this folder; user: the file for all your projects
  --name NAME      what the client calls the server (default: ${SERVER_NAME})
  --env KEY=VALUE  a variable for the server; may be given several times
  --read-only      the server writes nothing
  --local          start this very file with node, not the package from npm
  --remove         take the entry out again
  --dry-run        show what would change, and change nothing
  --yes            change it without asking
  --json           print one JSON object
  --help           print this

It shows the change as a diff and asks. Without a terminal it asks nobody: it changes the file only
with --yes. The old file is kept beside the new one. What is already as it should be is left alone.
`;

const NAME = /^[A-Za-z][A-Za-z0-9_-]{0,63}$/;
const VARIABLE = /^([A-Za-z_][A-Za-z0-9_]*)=(.+)$/s;

/** Reads what follows `install` on the command line. */
export function readInstallOptions(given: readonly string[]): InstallRequest {
  const end = given.indexOf("--");
  const own = end === -1 ? given : given.slice(0, end);
  const passed = end === -1 ? [] : given.slice(end + 1);
  try {
    return interpret(own, passed);
  } catch (error) {
    return { kind: "refused", because: (error as Error).message };
  }
}

function interpret(own: readonly string[], passed: readonly string[]): InstallRequest {
  const flag = { type: "boolean" } as const;
  const { values } = parseArgs({
    args: [...own],
    options: {
      client: { type: "string" },
      scope: { type: "string" },
      name: { type: "string" },
      env: { type: "string", multiple: true },
      ...{ "read-only": flag, local: flag, remove: flag, "dry-run": flag },
      ...{ yes: flag, json: flag, help: flag },
    },
  });
  if (values.help === true) return { kind: "help" };
  const client = clientNamed(values.client);
  const { name = SERVER_NAME, remove = false, yes = false, json = false, local = false } = values;
  if (!NAME.test(name))
    throw new Error("--name: take letters, digits, - and _, and begin with a letter.");
  const scope = scopeOf(client, values.scope);
  const env = variablesOf(values.env ?? []);
  const options = [...(values["read-only"] === true ? ["--read-only"] : []), ...passed];
  const dryRun = values["dry-run"] === true;
  const asked = { client, scope, name, env, options, remove, dryRun, yes, json, local };
  return { kind: "install", asked };
}

function clientNamed(id: string | undefined): ClientProgram {
  const ids = CLIENTS.map((client) => client.id);
  if (id === undefined) throw new Error(`Name the client: --client ${ids.join("|")}.`);
  const client = CLIENTS.find((candidate) => candidate.id === id);
  if (client !== undefined) return client;
  const near = closest(id, ids);
  const meant = near === undefined ? "" : ` Did you mean ${near}?`;
  throw new Error(
    `--client: ${JSON.stringify(id)} is not known.${meant} There are ${ids.join(", ")}.`,
  );
}

function scopeOf({ title, files }: ClientProgram, named: string | undefined): Scope {
  const scopes = Object.keys(files) as Scope[];
  const scope = named === undefined ? scopes[0] : scopes.find((candidate) => candidate === named);
  if (scope !== undefined) return scope;
  throw new Error(`--scope: ${title} has ${scopes.join(" and ")}, not ${JSON.stringify(named)}.`);
}

/** The message shows no value: it may be a secret. */
function variablesOf(given: readonly string[]): Record<string, string> {
  const pairs = given.map((text) => {
    const [, name, value] = VARIABLE.exec(text) ?? [];
    if (name === undefined || value === undefined)
      throw new Error("--env: write KEY=VALUE, with a value.");
    return [name, value] as const;
  });
  return Object.fromEntries(pairs);
}
