import { execFile } from "node:child_process";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { dirname, join, relative } from "node:path";
import { EVERYWHERE, ON_PAGE } from "./fragments.ts";
import { at, type Block, type Page, ROOT } from "./pages.ts";

const OPTIONS = {
  extends: join(ROOT, "tsconfig.base.json"),
  compilerOptions: {
    ...{ noEmit: true, composite: false, declaration: false, sourceMap: false, incremental: false },
    ...{ allowJs: true, checkJs: true, rewriteRelativeImportExtensions: false },
    ...{ allowImportingTsExtensions: true, lib: ["es2023", "dom", "dom.iterable"] },
    // A reader's project is `strict`, and no stricter.
    ...{
      noUncheckedIndexedAccess: false,
      exactOptionalPropertyTypes: false,
      noImplicitReturns: false,
    },
    customConditions: ["tidebase-source"],
  },
  include: ["**/*"],
};
/** What pages import and the repository does not install, as far as they use it. */
const ELSEWHERE = `declare module "next/server" {
  export function after(work: () => unknown): void;
}
declare module "bullmq";
`;
/** JavaScript says no types: a parameter without one, and an error that was caught, are anything. */
const FINE_IN_JS = [7005, 7006, 7008, 7010, 7011, 7018, 7019, 7023, 7024, 7031, 7034, 7053, 18046];

/** What the compiler says of the programs and fragments of these pages, as `page:line: message`. */
export async function typeFaults(pages: readonly Page[]): Promise<string[]> {
  const folder = await mkdtemp(join(ROOT, "node_modules/.tidebase-docs-"));
  try {
    const places = new Map<string, string>();
    await writeFile(join(folder, "tsconfig.json"), JSON.stringify(OPTIONS));
    await writeFile(join(folder, "elsewhere.d.ts"), ELSEWHERE);
    for (const page of pages) await writePrograms(folder, page, places);
    return faultsIn(await compile(folder), folder, places);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Writes each block so that its lines have the numbers that they have on the page. */
async function writePrograms(folder: string, page: Page, places: Map<string, string>) {
  const home = page.path.replaceAll("/", "+").replace(/\.md$/, "");
  const files = new Map<string, string>();
  for (const block of page.blocks) {
    if (block.language !== "ts" && block.language !== "js") continue;
    const isProgram = block.word !== "";
    // A file that is written a second time stands beside what the first ones have become.
    const version = isProgram && files.has(block.word) ? `${home}+${block.line}` : home;
    if (version !== home)
      for (const [name, text] of files)
        await write(join(folder, version, name), text, page, places);
    const text = isProgram ? atItsLine(block, block.text) : fragment(block);
    const name = isProgram
      ? block.word
      : `fragment-${block.line}.${block.language === "ts" ? "mts" : "mjs"}`;
    if (isProgram) files.set(name, text);
    await write(join(folder, version, name), text, page, places);
  }
  const mentions = mentionsOf(page);
  if (mentions !== "") await write(join(folder, home, "mentions.mts"), mentions, page, places);
}

async function write(path: string, text: string, page: Page, places: Map<string, string>) {
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, text);
  places.set(path, page.path);
}

const atItsLine = ({ line }: Block, text: string, before = ""): string =>
  `${"\n".repeat(line - 1)}${before}\n${text}`;

/** The names that a block may use, declared outside of its function, so that it may declare them itself. */
function declarations(page: string, isTyped: boolean): string {
  const names = Object.entries({ ...EVERYWHERE, ...ON_PAGE[page] });
  const sdk = 'import type * as sdk from "@tidebase/sdk";';
  if (isTyped)
    return `${sdk}${names.map(([name, type]) => `declare const ${name}: ${type};`).join("")}`;
  const typed = names.map(([name, type]) => {
    const known = type.replaceAll("sdk.", 'import("@tidebase/sdk").');
    return `const ${name} = /** @type {${known}} */ (/** @type {unknown} */ (undefined));`;
  });
  return typed.join("");
}

function fragment(block: Block): string {
  const imports = /^(?:\s*import\s[^;]*;\n)*/.exec(block.text)?.[0] ?? "";
  const body = block.text
    .slice(imports.length)
    .replace(/^export (?=const|async|function)/gm, "       ");
  const opened =
    imports === "" ? "" : imports.replace(/\n$/, " export async function fragment() {\n");
  const before = `${declarations(block.page, block.language === "ts")}${imports === "" ? "export async function fragment() {" : ""}`;
  return atItsLine(block, `${opened}${body}}\n`, before);
}

/** The methods of the SDK that prose names, such as `tide.queues.redrive`, each on its line. */
function mentionsOf({ lines }: Page): string {
  const found = lines.map(({ text }) =>
    [...text.matchAll(/`((?:tide|run)(?:\.[a-z]\w*)+)(\(|`)/g)]
      .filter(([, name = "", end]) => end === "(" || !/^run\.[a-z_]+$/.test(name) || isMember(name))
      .map(([, name]) => `void ${name};`)
      .join(" "),
  );
  if (found.every((text) => text === "")) return "";
  const numbered = new Map(lines.map(({ number }, index) => [number, found[index] ?? ""]));
  const last = lines.at(-1)?.number ?? 0;
  const rows = Array.from({ length: last }, (_, index) => numbered.get(index + 1) ?? "");
  const head =
    'import type { Run, Tidebase } from "@tidebase/sdk"; declare const tide: Tidebase; declare const run: Run<any>;';
  return `${head} ${rows.join("\n")}\nexport {};\n`;
}

/** `run.completed` is an event and `run.step` a method; the names of events are looked at elsewhere. */
const MEMBERS =
  /^run\.(step|gate|gates|sleep|state|child|fanout|signal|input|usage|runId|waitFor|onCancel|extendDeadline)$/;
const isMember = (name: string): boolean => MEMBERS.test(name);

async function compile(folder: string): Promise<string> {
  const tsc = join(ROOT, "node_modules/.bin/tsc");
  return await new Promise((resolve) => {
    execFile(
      tsc,
      ["-p", folder, "--pretty", "false"],
      { cwd: ROOT, maxBuffer: 64 << 20 },
      (_error, stdout, stderr) => resolve(`${stdout}${stderr}`),
    );
  });
}

function faultsIn(output: string, folder: string, places: ReadonlyMap<string, string>): string[] {
  const faults: string[] = [];
  for (const text of output.split("\n")) {
    const found = /^(.+?)\((\d+),\d+\): error TS(\d+): (.*)$/.exec(text);
    if (found === null) {
      if (/^error TS/.test(text)) faults.push(text);
      continue;
    }
    const [, file = "", line, code, message] = found;
    const page = places.get(join(ROOT, file)) ?? places.get(file);
    if (page === undefined) continue; // of the product's own source, which has a check of its own
    if (/\.m?js$/.test(file) && FINE_IN_JS.includes(Number(code))) continue;
    faults.push(
      `${at(page, Number(line))}: TS${code} ${message} (${relative(folder, join(ROOT, file))})`,
    );
  }
  return [...new Set(faults)];
}
