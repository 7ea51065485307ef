import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Plugin } from "vitest/config";
import { type Edit, edited } from "../mutants/edit.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const FIRED = fileURLToPath(new URL("fired.ts", import.meta.url));

/** The name of an edit in `fired()`. */
export function nameOf({ file, search }: Edit): string {
  return `${file}: ${search.trim()}`;
}

/** Makes the edits while the files are loaded. Throws where one does not fit its file any more. */
export function impose(edits: readonly Edit[]): Plugin {
  for (const edit of edits) edited(readFileSync(join(ROOT, edit.file), "utf8"), edit);
  return {
    name: "tidebase-profile",
    enforce: "pre",
    transform(code, id) {
      const own = edits.filter(({ file }) => id.split("?")[0] === join(ROOT, file));
      if (own.length === 0) return undefined;
      const changed = own.reduce(edited, code);
      const told = own.map((edit) => `fired(${JSON.stringify(nameOf(edit))});`).join("\n");
      return {
        code: `${changed}\nimport { fired } from ${JSON.stringify(FIRED)};\n${told}\n`,
        map: null,
      };
    },
  };
}
