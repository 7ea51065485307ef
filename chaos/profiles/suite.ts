import { spawn } from "node:child_process";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { stripVTControlCharacters } from "node:util";
import { inherited } from "../world/config.ts";
import type { Profile } from "./profile.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const VITEST = join(ROOT, "node_modules", "vitest", "vitest.mjs");
const TAIL = 4_000;

/** What came of a profile's tests. */
export interface Outcome {
  readonly passed: number;
  /** Tests that failed, and files that could not be run, with the first line of why; without a file where it is of none. */
  readonly failures: readonly { readonly file?: string; readonly what: string }[];
  readonly seconds: number;
}

interface Report {
  readonly numPassedTests: number;
  readonly testResults: readonly {
    readonly name: string;
    readonly status: string;
    readonly message: string;
    readonly assertionResults: readonly {
      readonly fullName: string;
      readonly status: string;
      readonly failureMessages: readonly string[];
    }[];
  }[];
}

/** Runs these test files under the profile with vitest, one process of its own. `report` is a file to write. */
export async function runSuite(
  { id }: Profile,
  files: readonly string[],
  { seed, report, limitMs }: { seed: number; report: string; limitMs: number },
): Promise<Outcome> {
  const since = performance.now();
  const config = join("chaos", "profiles", `${id}.config.ts`);
  const told = ["--reporter=json", `--outputFile.json=${report}`, "--reporter=dot"];
  const child = spawn(process.execPath, [VITEST, "run", "--config", config, ...told, ...files], {
    cwd: ROOT,
    env: { ...inherited(), TIDEBASE_SEED: String(seed) },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let complained = ""; // of errors outside of tests, the report does not tell
  for (const words of [child.stdout, child.stderr])
    words.setEncoding("utf8").on("data", (text: string) => {
      complained = (complained + stripVTControlCharacters(text)).slice(-TAIL);
    });
  const late = setTimeout(() => child.kill("SIGTERM"), limitMs);
  const code = await new Promise<number | null>((resolve) => child.once("close", resolve));
  clearTimeout(late);
  const seconds = Math.round((performance.now() - since) / 1000);
  const found = await readFile(report, "utf8").then(
    (text) => JSON.parse(text) as Report,
    () => undefined,
  );
  if (found === undefined) {
    const what = `vitest ended with ${code} and reported nothing: ${complained.trim()}`;
    return { passed: 0, failures: [{ what }], seconds };
  }
  const failures = failuresOf(found);
  if (code !== 0 && failures.length === 0)
    failures.push({ what: `vitest ended with ${code}: ${complained.trim()}` });
  return { passed: found.numPassedTests, failures, seconds };
}

function failuresOf({ testResults }: Report): { file?: string; what: string }[] {
  return testResults.flatMap(({ name, status, message, assertionResults }) => {
    const file = name.slice(ROOT.length);
    const failed = assertionResults.filter((one) => one.status === "failed");
    const tests = failed.map(({ fullName, failureMessages }) => ({
      file,
      what: `"${fullName}": ${firstLine(failureMessages[0])}`,
    }));
    return tests.length === 0 && status === "failed" ? [{ file, what: firstLine(message) }] : tests;
  });
}

function firstLine(text = ""): string {
  return (text.split("\n", 1)[0] ?? "").slice(0, 300);
}
