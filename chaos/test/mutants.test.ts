import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { type Edit, edited } from "../mutants/edit.ts";
import { mutants } from "../mutants/mutants.ts";
import { profiles } from "../profiles/profiles.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));

/** The changed files by their names; throws where an edit does not fit. */
async function changed(edits: readonly Edit[]): Promise<Map<string, string>> {
  const texts = new Map<string, string>();
  for (const edit of edits) {
    const text = texts.get(edit.file) ?? (await readFile(join(root, edit.file), "utf8"));
    texts.set(edit.file, edited(text, edit));
  }
  return texts;
}

test("an edit whose place has moved, or is there twice, says so", () => {
  const edit = { file: "a.ts", search: "one", replace: "two" };
  expect(edited("one", edit)).toBe("two");
  expect(() => edited("none of it", { ...edit, search: "three" })).toThrow(/a\.ts .*0 times/);
  expect(() => edited("one one", edit)).toThrow(/a\.ts .*2 times/);
});

test("there are twelve mutants, numbered, and each of their edits fits the code as it is", async () => {
  expect(mutants.map(({ id }) => Number.parseInt(id, 10))).toEqual(
    Array.from({ length: 12 }, (_, n) => n + 1),
  );
  for (const { id, edits } of mutants) {
    const texts = await changed(edits);
    const before = await Promise.all(
      [...texts.keys()].map((file) => readFile(join(root, file), "utf8")),
    );
    expect(before, id).not.toEqual([...texts.values()]);
  }
});

test("every profile changes code that is there, runs tests that are there, and has its configuration", async () => {
  for (const { id, edits, files } of profiles) {
    await changed(edits);
    expect(
      files.filter((file) => !existsSync(join(root, file))),
      id,
    ).toEqual([]);
    expect(existsSync(join(root, "chaos", "profiles", `${id}.config.ts`)), id).toBe(true);
  }
});
