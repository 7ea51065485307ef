import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { stopCluster } from "@tidebase/core";
import pg from "pg";
import { missingLine } from "./output.ts";
import { at, type Block, type Page } from "./pages.ts";
import { openShell, type Shell } from "./shell.ts";
import type { Workspace } from "./workspace.ts";

const USUAL = "http://127.0.0.1:7373";
const BACKGROUND_MS = 60_000;
/** Of the machine's own settings only what leads to no store. */
const INHERITED = ["LANG", "TMPDIR", "USER", "SYSTEMROOT"];

/** Hosts of the reader, which no name server knows; and what is asked instead, where nobody answers. */
const READERS_HOST = /https:\/\/\w+\.example\.com/g;
const NOBODY = "127.0.0.1:9";

/** Where a page is at. */
interface Walk {
  readonly folder: string;
  readonly databaseUrl: string;
  readonly shell: Shell;
  /** What the last executed block has printed; in the background it goes on. */
  printed?: { read(): Promise<string>; readonly goesOn: boolean };
  /** The address of the server that the page has started. */
  url?: string;
}

/** Does everything that the page says, from its top to its end. Throws at the first line that is not true. */
export async function walk(page: Page, workspace: Workspace, databaseUrl: string): Promise<void> {
  const folder = await workspace.pageFolder(page.path.replaceAll(/\W/g, "-"));
  const home = await mkdtemp(join(tmpdir(), "tidebase-docs-"));
  const inherited = INHERITED.map((name) => [name, process.env[name]]);
  const shell = await openShell(folder, {
    ...Object.fromEntries(inherited),
    PATH: workspace.path,
    HOME: folder,
    TIDEBASE_HOME: home, // for pages that open a store of their own
    TIDEBASE_DATABASE_URL: databaseUrl,
    TIDEBASE_PORT: "0",
    ...{ SHELL: "/bin/sh", TERM: "dumb" },
    TIDEBASE_WEBHOOK_ALLOW: NOBODY,
  });
  const state: Walk = { folder, databaseUrl, shell };
  try {
    for (const block of page.blocks) await step(state, block);
  } finally {
    await shell.end();
    await stopCluster({ home });
    await rm(home, { recursive: true, force: true });
  }
}

async function step(state: Walk, block: Block): Promise<void> {
  const { language, word, text } = block;
  if (language === "text") return await compare(state, block);
  delete state.printed;
  if (word === "install") return;
  if (language === "sh") return await runLines(state, block);
  if (language === "sql") return await query(state, block);
  if (!["ts", "js", "json"].includes(language) || word === "") return;
  const path = join(state.folder, word);
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, text.replaceAll(USUAL, state.url ?? USUAL));
}

/** The lines of a block, each with its number on the page; one that ends with a backslash goes on. */
export function commandsOf({ line, text }: Block): { line: number; command: string }[] {
  const commands: { line: number; command: string }[] = [];
  let begun: { line: number; command: string } | undefined;
  for (const [index, one] of text.split("\n").entries()) {
    begun = begun ?? { line: line + 1 + index, command: "" };
    begun.command += one;
    if (begun.command.endsWith("\\") || isOpen(begun.command)) begun.command += "\n";
    else {
      if (!/^\s*(#|$)/.test(begun.command)) commands.push(begun);
      begun = undefined;
    }
  }
  return commands;
}

/** A quotation that goes on in the next line. */
const isOpen = (command: string): boolean =>
  (command.replaceAll(/"[^"]*"|#.*$/gm, "").match(/'/g)?.length ?? 0) % 2 === 1;

async function runLines(state: Walk, block: Block): Promise<void> {
  const commands = commandsOf(block);
  let output = "";
  for (const [index, { line, command }] of commands.entries()) {
    const place = `${at(block.page, line)}: ${command}`;
    const text = command
      .replaceAll(USUAL, state.url ?? USUAL)
      .replaceAll(READERS_HOST, `http://${NOBODY}`);
    if (block.word === "background") {
      state.printed = { read: await state.shell.background(text), goesOn: true };
      if (/tidebase-server/.test(command)) await listening(state, place);
      continue;
    }
    const { shell } = state;
    const isTyped = block.word === "terminal";
    const doing = isTyped ? shell.type(text, wordFor(command)) : shell.run(text);
    const ended = await doing.catch((error: unknown) => {
      throw new Error(`${place}\n${String(error)}`, { cause: error });
    });
    output += ended.output;
    const shouldFail = block.word === "fails" && index === commands.length - 1;
    if ((ended.code !== 0) !== shouldFail)
      throw new Error(`${place}\nended with ${ended.code}, having printed:\n${ended.output}`);
  }
  if (block.word !== "background") state.printed = already(output);
}

/** What the command asks somebody to type. */
const wordFor = (command: string): string => /--(approve|reject)\b/.exec(command)?.[1] ?? "";

const already = (output: string) => ({ read: async () => output, goesOn: false });

/** The first server of a page is the one that its programs find. */
async function listening(state: Walk, place: string): Promise<void> {
  const until = Date.now() + BACKGROUND_MS;
  for (;;) {
    const printed = (await state.printed?.read()) ?? "";
    const url = /listens on (http:\/\/[\d.]+:\d+)/.exec(printed)?.[1];
    if (url !== undefined) {
      state.url ??= url;
      await state.shell.run(`export TIDEBASE_URL=${state.url} DOCS_SERVER_URL=${state.url}`);
      return;
    }
    if (Date.now() > until) throw new Error(`${place}\nlistens nowhere, and printed:\n${printed}`);
    await pause(20);
  }
}

/** What a block printed; what is in the background may print it yet. */
async function compare(state: Walk, block: Block): Promise<void> {
  const place = at(block.page, block.line);
  if (state.printed === undefined)
    throw new Error(`${place}: nothing was executed right before this.`);
  const until = Date.now() + (state.printed.goesOn ? BACKGROUND_MS : 0);
  for (;;) {
    const printed = (await state.printed.read()).replaceAll(state.url ?? USUAL, USUAL);
    const missing = missingLine(block.text, printed);
    if (missing === undefined) return;
    if (Date.now() >= until)
      throw new Error(
        `${place}: no line "${missing}" at its place in what was printed:\n${printed}`,
      );
    await pause(50);
  }
}

/** Prints a table as psql does, without its rules. */
async function query(state: Walk, { page, line, text }: Block): Promise<void> {
  const client = new pg.Client({ connectionString: state.databaseUrl });
  await client.connect();
  try {
    const answered: unknown = await client.query({ text, rowMode: "array" });
    const last = (Array.isArray(answered) ? answered.at(-1) : answered) as pg.QueryArrayResult;
    const rows = [last.fields.map(({ name }) => name), ...last.rows];
    const table = rows.map((row) => row.map(String).join(" | ")).join("\n");
    state.printed = already(table);
  } catch (error) {
    throw new Error(`${at(page, line)}: ${String(error)}`, { cause: error });
  } finally {
    await client.end();
  }
}
