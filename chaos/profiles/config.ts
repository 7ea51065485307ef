import { fileURLToPath } from "node:url";
import { defineConfig, type ViteUserConfig } from "vitest/config";
import { impose, nameOf } from "./impose.ts";
import type { Profile } from "./profile.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const here = (file: string) => fileURLToPath(new URL(file, import.meta.url));
const CONDITIONS = ["tidebase-source"];

/** The seed of what a profile does at random: TIDEBASE_SEED, else another one each time. The run's name shows it. */
function readSeed(): number {
  const given = process.env["TIDEBASE_SEED"];
  return given === undefined ? Date.now() % 2 ** 31 : Number(given);
}

/** Runs the profile's test files with vitest as `npm test` would, but for what the profile imposes. */
export function profileConfig(profile: Profile): ViteUserConfig {
  const { id, edits, fires = [], globalSetup, files, besides } = profile;
  const seed = readSeed();
  return defineConfig({
    root: ROOT,
    plugins: [impose(edits)],
    resolve: { conditions: CONDITIONS },
    ssr: { resolve: { conditions: CONDITIONS } },
    test: {
      name: `${id} seed=${seed}`,
      include: [...files],
      globalSetup: globalSetup ?? "core/test/support/global-setup.ts",
      setupFiles: [here("fired-setup.ts")],
      provide: { imposed: [...edits.map(nameOf), ...fires], seed },
      expect: { poll: { timeout: 10_000 } },
      maxWorkers: 2,
      testTimeout: 60_000,
      hookTimeout: 60_000,
      ...(Object.keys(besides).length > 0 && { testNamePattern: allBut(Object.keys(besides)) }),
    },
  });
}

function allBut(titles: readonly string[]): RegExp {
  const escaped = titles.map((title) => title.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
  return new RegExp(`^(?!.*(?:${escaped.join("|")})).*$`);
}

/** Where programs are looked for. */
export function searchPath(): string {
  return process.env["PATH"] ?? "";
}
