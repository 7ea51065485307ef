import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { type Edit, edited } from "../mutants/edit.ts";
import { findingIn } from "../mutants/harness.ts";
import { CRASH_POINTS, INTERLEAVE, type Look, trials } from "../mutants/mutant.ts";
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

test("a copy is red for what was found in it, as soon as it is told, and not for a harness that could not judge it", () => {
  const profile: Look = { profile: "twice" };
  const red: [Look, string, string][] = [
    [CRASH_POINTS, "sweep schedules at 3:before (database x): C9: a gap", ""],
    [CRASH_POINTS, "server at 12:after (it came to its end): C9: a gap", ""],
    [CRASH_POINTS, "sweep pushes is not well without a crash: C9: a gap (seed 9)", "✗ "],
    [INTERLEAVE, "problems with begin × claim from lapsed", ""],
    [trials(), "C3: lost", "seed 9: "],
    [profile, "twice seed=9 sdk/test/run.test.ts > it runs", "FAIL  "],
  ];
  const said = (look: Look, line: string, mark: string) =>
    "profile" in look ? ` ${mark}${line}\n` : `${look.stage}: ${mark}${line}\n`;
  for (const [look, line, mark] of red)
    expect(findingIn(`${said(look, "begun", "")}${said(look, line, mark)}`, look)).toBe(line);
  const broken: [Look, string, string][] = [
    [CRASH_POINTS, "seed 9: it threw: Error: no Postgres", "✗ "],
    [CRASH_POINTS, "It proves nothing: sweep pushes at 3:before threw: Error: no database", ""],
    [CRASH_POINTS, "It proves nothing: only 3 of 9 processes died where they were told to.", "✗ "],
    [INTERLEAVE, "500 of 4253 cases", ""],
    [trials(), "seed 9: invalid: no load", ""],
    [profile, "twice seed=9 sdk/test/run.test.ts [ sdk/test/run.test.ts ]", "FAIL  "],
  ];
  for (const [look, line, mark] of broken)
    expect(findingIn(said(look, line, mark), look), line).toBeUndefined();
});
