import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { ERRORS, operations } from "@tidebase/core";
import { TOOL_NAMES } from "../../mcp-server/src/tools/index.ts";
import { type Page, ROOT } from "./pages.ts";
import { faults, spansOf } from "./said.ts";

const ROOMS = ["core/src", "http-server/src", "sdk/src", "cli/src", "mcp-server/src"];
const BESIDES = ["migrations", "skills/tidebase/scripts", "scripts", "bench", "examples"];

/** The text of every source file below these folders. */
function sourceText(folders: readonly string[]): string {
  return folders
    .flatMap(filesBelow)
    .map((path) => readFileSync(path, "utf8"))
    .join("\n");
}

function filesBelow(folder: string): string[] {
  return readdirSync(join(ROOT, folder), { withFileTypes: true }).flatMap((entry) => {
    if (entry.name === "node_modules" || entry.name === "dist") return [];
    if (entry.isDirectory()) return filesBelow(`${folder}/${entry.name}`);
    return /\.(m?[tj]s|sql)$/.test(entry.name) ? [join(ROOT, folder, entry.name)] : [];
  });
}

/** What the code knows by name. */
export interface Known {
  /** Codes, outcomes, events, operations, tables and columns: what the code says, not what it remarks. */
  readonly words: ReadonlySet<string>;
  readonly flags: ReadonlySet<string>;
  readonly variables: ReadonlySet<string>;
  readonly routes: ReadonlySet<string>;
  /** What operations and events are about: the first part of their names. */
  readonly nouns: ReadonlySet<string>;
}

/** Reads it from the rooms' sources, the migrations and the programs beside them. */
export function knownNames(): Known {
  const rooms = sourceText(ROOMS);
  const text = `${rooms}\n${sourceText(BESIDES)}`;
  const matches = (pattern: RegExp, where: string) => new Set(where.match(pattern) ?? []);
  const routes = operations.map(({ route }) => route);
  return {
    words: new Set([
      ...Object.keys(ERRORS),
      ...saidIn(text),
      ...operations.map(({ name }) => name),
    ]),
    flags: matches(/--[a-z][a-z-]*/g, text),
    variables: matches(/\bTIDEBASE_[A-Z_]*[A-Z]\b/g, text),
    routes: new Set(routes.map((route) => shapeOf(route))),
    nouns: new Set([...operations.map(({ name }) => name.split(".")[0] ?? ""), ...EVENT_NOUNS]),
  };
}

/** Quoted words, members and the words of statements; what stands in a comment names nothing. */
function saidIn(text: string): string[] {
  const code = text.replaceAll(/\/\*[\s\S]*?\*\/|(?<=^|\s)(\/\/|-- ).*$/gm, "");
  const quoted = code.matchAll(/["'`]([a-z]\w*(?:\.\w+)?)["'`]/g);
  const members = code.matchAll(/\b([a-z]+(?:_[a-z]+)+)\b(?=\??:|\s|,|\)|;|=)/g);
  return [...quoted, ...members].map(([, word = ""]) => word);
}

/** The variables that a user can set: those that the rooms read. */
export function variablesOfRooms(): string[] {
  const found = sourceText(ROOMS).match(/\bTIDEBASE_[A-Z_]*[A-Z]\b/g) ?? [];
  return [...new Set(found)].sort();
}

/** `GET /v1/runs/:runId` with any id. */
const shapeOf = (route: string): string =>
  route
    .replace(/\?.*$/, "")
    .replaceAll(/\/(:\w+|<[^>]+>|\{\w+\}|\$\w+|[a-z]+_[0-9a-f…-]{4,})(?=\/|$)/g, "/*");

const EVENT_NOUNS = [
  "run",
  "step",
  "gate",
  "signal",
  "timer",
  "child",
  "recovery",
  "delivery",
  "cleanup",
];

/** What other programs, the examples and the reader's own call so; and an event whose name only SQL puts together. */
const FOREIGN = new Set(
  `
  --omit --save-dev --global --env --format --single-transaction pg_stat_statements pg_stat_activity pg_dump pg_restore pg_isready startup_timeout_sec max_connections
  mcp_servers max_prepared_statements pool_mode next_server synchronous_commit default_transaction_read_only
  statement_timeout shared_preload_libraries max_client_conn default_pool_size ignore_startup_parameters
  signal.copied signal.aborted --day --batch --endpoint --issue server_lifetime track_commit_timestamp idle_in_transaction_session_timeout pg_basebackup pg_locks
  `.match(/\S+/g),
);

/** Tools, flags, variables, codes, events and routes in the prose of a page that the code does not have. */
export function nameFaults(page: Page, known: Known): string[] {
  const own = new Set(page.blocks.flatMap(({ text }) => text.match(/\w+(?:\.\w+)*/g) ?? []));
  const everywhere = page.text.split("\n").map((text, index) => ({ line: index + 1, text }));
  const tools = faults(page, everywhere, (text) =>
    (text.match(/\btidebase_[a-z_]*[a-z]\b/g) ?? [])
      .filter((name) => !TOOL_NAMES.includes(name) && !known.words.has(name))
      .map((name) => `there is no tool ${name}.`),
  );
  const variables = faults(page, everywhere, (text) =>
    (text.match(/\bTIDEBASE_[A-Z_]*[A-Z]\b/g) ?? [])
      .filter((name) => !known.variables.has(name))
      .map((name) => `there is no variable ${name}.`),
  );
  // Pages about peers name what peers have.
  const said = page.path.startsWith("docs/compare/") ? [] : spansOf(page);
  const spans = faults(page, said, (text) => spanFaults(text, known, own));
  return [...tools, ...variables, ...spans];
}

function spanFaults(text: string, known: Known, own: ReadonlySet<string>): string[] {
  const flag = /^(--[a-z][a-z-]*)/.exec(text)?.[1];
  if (flag !== undefined && !FOREIGN.has(flag) && !known.flags.has(flag))
    return [`no program of ours has ${flag}.`];
  const route = /^(GET|POST|PUT|PATCH|DELETE) \/v1\/(<[^>]+>|[^\s<])+/.exec(text)?.[0];
  if (route !== undefined && !known.routes.has(shapeOf(route))) return [`there is no ${route}.`];
  const name = /^(?!tidebase_)[a-z]+(?:_[a-z]+)+$|^[a-z]+\.[a-z_]+$/.exec(text)?.[0];
  if (name === undefined || (name.includes(".") && !known.nouns.has(name.split(".")[0] ?? "")))
    return [];
  const isTool = TOOL_NAMES.includes(`tidebase_${name}`);
  const isKnown = isTool || known.words.has(name) || own.has(name) || FOREIGN.has(name);
  return isKnown ||
    /^(run|gate)\.(\w*[A-Z]\w*|step|gate|sleep|state|child|fanout|signal|usage|input)$/.test(name)
    ? []
    : [`nothing is called ${name}.`];
}
