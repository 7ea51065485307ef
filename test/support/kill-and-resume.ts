import { type ChildProcess, spawn } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const root = fileURLToPath(new URL("../../", import.meta.url));
const SCRIPT = join(root, "skills/tidebase/scripts/kill-and-resume.mjs");

/** What the script ended with. */
export interface Verified {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** The script's report, as far as tests read it. */
export interface Report {
  readonly ok: boolean;
  readonly kills: number;
  readonly repeated: number;
  readonly faults: readonly { kind: string; what: string; advice: string }[];
  readonly interrupted: readonly { step: string; times: number; contract: string }[];
  readonly recordedDifferences: readonly string[];
  readonly baseline: { runId: string; steps: number; ms: number; result: unknown };
  readonly runs: readonly { runId: string; kills: number; starts: number; ms: number }[];
}

/** Starts the skill's script as its user would, with these options and this command. */
export function startScript(
  options: readonly string[],
  command: readonly string[],
  env: Readonly<Record<string, string>>,
): ChildProcess {
  const args = [SCRIPT, ...options, ...(command.length === 0 ? [] : ["--", ...command])];
  const { TIDEBASE_URL: _url, TIDEBASE_API_KEY: _key, ...inherited } = process.env;
  return spawn(process.execPath, args, {
    env: { ...inherited, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
}

/** What the script said, once it has ended. */
export async function verified(script: ChildProcess): Promise<Verified> {
  const said = { stdout: "", stderr: "" };
  for (const name of ["stdout", "stderr"] as const)
    script[name]?.setEncoding("utf8").on("data", (text: string) => {
      said[name] += text;
    });
  const code = await new Promise<number | null>((resolve) => script.once("close", resolve));
  return { code, ...said };
}

/** One file that starts in a tenth of the time that its sources take; its path. */
export async function bundled(
  name: string,
  folder: string,
  from: { readonly path: string } | { readonly text: string },
): Promise<string> {
  const outfile = join(folder, `${name}.mjs`);
  await build({
    ...("path" in from
      ? { entryPoints: [join(root, from.path)] }
      : { stdin: { contents: from.text, resolveDir: join(root, "test") } }),
    outfile,
    bundle: true,
    platform: "node",
    target: "node20",
    format: "esm",
    conditions: ["tidebase-source"],
    minify: true,
    // CommonJS packages inside ask for Node's own modules by `require`.
    banner: {
      js: 'import { createRequire as makeRequire } from "node:module"; const require = makeRequire(import.meta.url);',
    },
    logLevel: "warning",
  });
  return outfile;
}
