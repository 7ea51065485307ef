import { createHash } from "node:crypto";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { mkdir, stat } from "node:fs/promises";
import { join } from "node:path";
import fc from "fast-check";
import { expect, test } from "vitest";
import { blockOf, readBlock, withBlock, withoutBlock } from "../src/init/block.ts";
import { readTextFile } from "../src/init/text-file.ts";
import { type Ended, runInside, useFolder } from "./support/program.ts";

const folder = useFolder();
const SNIPPET = readFileSync(
  new URL("../../templates/agents-md-snippet.md", import.meta.url),
  "utf8",
);
const BLOCK = blockOf(SNIPPET);

interface Project {
  readonly path: string;
  init(...args: string[]): Promise<Ended>;
  write(name: string, text: string): void;
  read(name: string): string;
  /** Every file with its bytes, but those of the skill. */
  files(): Record<string, string>;
}

function newProject(): Project {
  const path = mkdtempSync(join(folder, "project "));
  return {
    path,
    init: (...args) => runInside(path, ["init", "--no-skill", ...args]),
    write: (name, text) => writeFileSync(join(path, name), text),
    read: (name) => readFileSync(join(path, name), "utf8"),
    files: () =>
      Object.fromEntries(
        readdirSync(path).map((name) => [name, readFileSync(join(path, name), "latin1")]),
      ),
  };
}

function errorOf({ stderr, code }: Ended): Record<string, unknown> {
  expect(code).toBe(1);
  return JSON.parse(stderr).error;
}

test("the text is short, and names what an agent must not do", () => {
  expect(SNIPPET.split("\n").length).toBeLessThanOrEqual(40);
  for (const word of ["verdict", "Never decide a gate", "idempotencyKey", "tidebase_get_run"])
    expect(SNIPPET).toContain(word);
});

test("without either file AGENTS.md is made, a second time nothing changes, and --remove deletes it", async () => {
  const { init, read, files } = newProject();
  expect((await init("--check")).code).toBe(1);
  expect((await init("--dry-run")).stdout).toContain("+## Durable runs");
  expect(files()).toEqual({});
  expect(await init()).toMatchObject({ code: 0, stdout: "Created AGENTS.md\n" });
  expect(read("AGENTS.md")).toBe(BLOCK);
  expect((await init("--check")).code).toBe(0);
  expect((await init()).stdout).toBe("Up to date: nothing was changed.\n");
  expect(read("AGENTS.md")).toBe(BLOCK);
  expect((await init("--remove")).stdout).toBe("Deleted AGENTS.md\n");
  expect(files()).toEqual({});
  expect((await init("--remove")).stdout).toBe("Nothing of Tidebase is here.\n");
});

test.each<[string, Record<string, string>, string[]]>([
  ["both", { "AGENTS.md": "a\n", "CLAUDE.md": "c\n" }, ["AGENTS.md", "CLAUDE.md"]],
  ["AGENTS.md alone", { "AGENTS.md": "a\n" }, ["AGENTS.md"]],
  ["CLAUDE.md alone", { "CLAUDE.md": "c\n" }, ["CLAUDE.md"]],
  ["an import", { "AGENTS.md": "a\n", "CLAUDE.md": "# C\n\n@AGENTS.md\n\nMore.\n" }, ["AGENTS.md"]],
  ["a reference", { "AGENTS.md": "a\n", "CLAUDE.md": "# C\nSee AGENTS.md.\n" }, ["AGENTS.md"]],
  [
    "a mention",
    { "AGENTS.md": "a\n", "CLAUDE.md": "See AGENTS.md.\nUse tabs.\n" },
    ["AGENTS.md", "CLAUDE.md"],
  ],
  ["an import of nothing", { "CLAUDE.md": "@AGENTS.md\n" }, ["AGENTS.md"]],
])("of %s the right files get the block, and give it back", async (_, before, changed) => {
  const { init, write, read, files } = newProject();
  for (const [name, text] of Object.entries(before)) write(name, text);
  expect((await init()).code).toBe(0);
  for (const name of ["AGENTS.md", "CLAUDE.md"])
    if (changed.includes(name)) expect(read(name)).toContain(BLOCK);
    else if (name in before) expect(read(name)).toBe(before[name]);
  expect((await init("--check")).code).toBe(0);
  await init("--remove");
  expect(files()).toEqual(before);
});

test("a symbolic link is followed once, and one that leaves the project is refused", async () => {
  const { path, init, write, read } = newProject();
  write("AGENTS.md", "a\n");
  symlinkSync("AGENTS.md", join(path, "CLAUDE.md"));
  expect((await init()).stdout).toBe("Updated AGENTS.md\n");
  expect(read("CLAUDE.md")).toBe(`a\n\n${BLOCK}`);
  const other = newProject();
  symlinkSync(join(path, "AGENTS.md"), join(other.path, "AGENTS.md"));
  expect(errorOf(await other.init("--json"))).toMatchObject({ code: "file_refused" });
  const dangling = newProject();
  symlinkSync("nowhere.md", join(dangling.path, "CLAUDE.md"));
  expect(errorOf(await dangling.init("--json"))).toMatchObject({ code: "file_refused" });
});

test("a symbolic link that leads in a circle is refused, wherever on the way it is", async () => {
  const { path, init } = newProject();
  symlinkSync("CLAUDE.md", join(path, "CLAUDE.md"));
  expect(errorOf(await init("--json"))).toMatchObject({
    code: "file_refused",
    message: expect.stringMatching(/CLAUDE\.md is a symbolic link that leads in a circle/),
  });
  const above = newProject();
  symlinkSync(".claude", join(above.path, ".claude"));
  expect(errorOf(await runInside(above.path, ["init", "--json"]))).toMatchObject({
    message: expect.stringMatching(/\.claude is a symbolic link that leads in a circle/),
  });
});

test("a folder that is made while it is looked at is no symbolic link that leads nowhere", async () => {
  const { path } = newProject();
  for (let n = 0; n < 60; n++) {
    const readers = [...Array(30).keys()].map(async (turns) => {
      for (let turn = 0; turn < turns; turn++) await new Promise((go) => setImmediate(go));
      return await readTextFile(path, `made${n}/SKILL.md`);
    });
    const made = stat(path).then(() => mkdir(join(path, `made${n}`)));
    for (const { text } of await Promise.all(readers)) expect(text).toBeUndefined();
    await made;
  }
});

test("of two at once each does it, or says that the other one did", async () => {
  const { path } = newProject();
  const both = await Promise.all([runInside(path, ["init"]), runInside(path, ["init"])]);
  for (const { code, stderr } of both)
    if (code !== 0) expect(stderr).toContain("changed while it was looked at");
  expect(both.some(({ code }) => code === 0)).toBe(true);
  expect((await runInside(path, ["init", "--check"])).code).toBe(0);
});

test("an older block is replaced where it stands, between the lines around it", async () => {
  const { init, write, read } = newProject();
  write("AGENTS.md", `before\n\n${blockOf("old\n")}\nafter\n`);
  expect((await init("--check")).code).toBe(1);
  expect((await init()).stdout).toBe("Updated AGENTS.md\n");
  expect(read("AGENTS.md")).toBe(`before\n\n${BLOCK}\nafter\n`);
  await init("--remove");
  expect(read("AGENTS.md")).toBe("before\n\n\nafter\n");
});

test("an empty line before the block that the user took away is not taken away twice", async () => {
  const { init, write, read } = newProject();
  write("AGENTS.md", "a\n");
  await init();
  write("AGENTS.md", read("AGENTS.md").replace("a\n\n", "a\n"));
  await init("--remove");
  expect(read("AGENTS.md")).toBe("a\n");
});

test("an edited block is shown, and replaced or taken out only with --force", async () => {
  const { init, write, read } = newProject();
  const mine = `a\n\n${BLOCK.replace("## Durable", "My own words.\n## Durable")}`;
  write("AGENTS.md", mine);
  const shown = await init();
  expect(shown).toMatchObject({ code: 1, stderr: expect.stringContaining("--force") });
  expect(shown.stdout).toContain("-My own words.");
  expect(errorOf(await init("--json"))).toMatchObject({
    code: "edited",
    data: { files: [{ file: "AGENTS.md" }] },
  });
  expect(errorOf(await init("--remove", "--json"))).toMatchObject({ code: "edited" });
  expect(read("AGENTS.md")).toBe(mine);
  expect((await init("--force")).code).toBe(0);
  expect(read("AGENTS.md")).toBe(`a\n\n${BLOCK}`);
});

test("a block of a newer version is left alone", async () => {
  const { init, write } = newProject();
  write("AGENTS.md", blockOf("new\n").replace("begin v1", "begin v2"));
  expect(errorOf(await init("--json"))).toMatchObject({
    message: expect.stringContaining("newer"),
  });
});

const [BEGIN = "", END = ""] = blockOf("").split("\n");
test.each([
  ["a beginning without an end", `a\n${BEGIN}\nb\n`],
  ["an end without a beginning", `a\n${END}\nb\n`],
  ["two blocks", BLOCK + BLOCK],
  ["a nested block", `${BEGIN}\n${BLOCK}${END}\n`],
  ["an end before the beginning", `${END}\n${BEGIN}\n`],
  ["two beginnings", `${BEGIN}\n${BEGIN}\n`],
  ["a beginning that was changed", `${BEGIN.replace(" v1", "")}\n${END}\n`],
])("%s is refused, and no file is changed", async (_, text) => {
  const { init, write, files } = newProject();
  write("CLAUDE.md", text);
  write("AGENTS.md", "a\n");
  const before = files();
  for (const args of [[], ["--force"], ["--remove"], ["--check"]])
    expect(errorOf(await init(...args, "--json"))).toMatchObject({ code: "block_broken" });
  expect(files()).toEqual(before);
});

test("marks within a line are words like others", async () => {
  const { init, write, read } = newProject();
  write("AGENTS.md", `It writes \`${BEGIN}\` and \`${END}\`.\n`);
  expect((await init()).code).toBe(0);
  expect(readBlock(read("AGENTS.md")).kind).toBe("found");
});

test("a read-only file, a folder and a file that is no text are refused before anything is written", async () => {
  const readOnly = newProject();
  readOnly.write("AGENTS.md", "a\n");
  readOnly.write("CLAUDE.md", "c\n");
  chmodSync(join(readOnly.path, "CLAUDE.md"), 0o444);
  expect(errorOf(await readOnly.init("--json"))).toMatchObject({ code: "file_read_only" });
  expect(readOnly.files()).toEqual({ "AGENTS.md": "a\n", "CLAUDE.md": "c\n" });
  const inTheWay = newProject();
  mkdirSync(join(inTheWay.path, "AGENTS.md"));
  expect(errorOf(await inTheWay.init("--json"))).toMatchObject({ code: "file_refused" });
  const binary = newProject();
  writeFileSync(join(binary.path, "AGENTS.md"), new Uint8Array([0x61, 0xff, 0xfe]));
  expect(errorOf(await binary.init("--json"))).toMatchObject({ code: "file_refused" });
  expect(binary.files()).toEqual({ "AGENTS.md": "a\xff\xfe" });
});

test("a file where a folder must be is refused before anything is written", async () => {
  const { path, write, files } = newProject();
  write(".claude", "mine");
  expect(errorOf(await runInside(path, ["init", "--json"]))).toMatchObject({
    code: "file_refused",
    message: expect.stringMatching(/\.claude is no folder\. Nothing was changed/),
  });
  expect(files()).toEqual({ ".claude": "mine" });
});

test("the mode of the file stays, and nothing is left beside it", async () => {
  const { path, init, write } = newProject();
  write("AGENTS.md", "a\n");
  chmodSync(join(path, "AGENTS.md"), 0o640);
  await init();
  if (process.platform !== "win32")
    expect(statSync(join(path, "AGENTS.md")).mode & 0o777).toBe(0o640);
  expect(readdirSync(path)).toEqual(["AGENTS.md"]);
});

/** Texts as editors leave them: marks of order, both line ends, no last one, words of other blocks. */
const anyText = fc
  .array(
    fc.oneof(
      fc.constantFrom("\n", "\r\n", "\r", "", " ", "# A", BEGIN, "x", "<!-- other -->", "\uFEFF"),
      fc.string({ unit: "grapheme" }),
    ),
  )
  .map((parts) => parts.join(""));

test("with the block and without it again a text is the same, byte for byte", () => {
  const seed = Date.now();
  const property = fc.property(anyText, fc.string(), fc.boolean(), (text, words, twice) => {
    const reading = readBlock(text);
    if (reading.kind !== "none") return;
    const content = `${words.replaceAll("\r", "").replaceAll("<!--", "")}\n`;
    let written = withBlock(text, reading, content);
    if (twice) written = withBlock(written, readBlock(written), content);
    const found = readBlock(written);
    if (found.kind !== "found") throw new Error(`not found in ${JSON.stringify(written)}`);
    expect(found).toMatchObject({ content, edited: false });
    expect(withoutBlock(written, found)).toBe(text);
  });
  fc.assert(property, { seed, numRuns: 2000 });
});

test("files with any line ends and marks of order come back as they were", async () => {
  for (const text of [
    "",
    "\uFEFF",
    "\uFEFFa\r\nb",
    "a",
    "a\n\n\n",
    "\r\n",
    "a\nb\r\n",
    "a\r",
    "\n",
  ]) {
    const { init, write, files } = newProject();
    write("AGENTS.md", text);
    const before = files();
    expect((await init()).code).toBe(0);
    const written = files();
    expect((await init()).stdout).toContain("Up to date");
    expect(files()).toEqual(written);
    await init("--remove");
    expect(files()).toEqual(before);
  }
});

test("the skill is copied to where clients look, kept up to date, and taken out with its folders", async () => {
  const { path, write, read } = newProject();
  const init = (...args: string[]) => runInside(path, ["init", ...args]);
  write("AGENTS.md", "a\n");
  const places = [".claude/skills/tidebase", ".agents/skills/tidebase"];
  expect((await init()).code).toBe(0);
  for (const place of places) expect(read(`${place}/SKILL.md`)).toContain("name: tidebase");
  expect((await init()).stdout).toBe("Up to date: nothing was changed.\n");
  expect((await init("--check")).code).toBe(0);
  const skill = `${places[0]}/SKILL.md`;
  const shipped = read(skill);
  write(skill, `${shipped}mine\n`);
  expect(errorOf(await init("--json"))).toMatchObject({
    message: expect.stringContaining("somebody edited it"),
  });
  expect((await init("--force")).stdout).toBe(`Updated ${skill}\n`);
  write(skill, shipped.replaceAll("\n", "\r\n"));
  expect((await init("--check")).code).toBe(0);
  write(`${places[1]}/mine.md`, "my own notes");
  expect((await init("--remove")).code).toBe(0);
  expect(existsSync(join(path, ".claude"))).toBe(false);
  expect(readdirSync(join(path, places[1] ?? ""))).toEqual(["mine.md"]);
  expect(read("AGENTS.md")).toBe("a\n");
});

test.each<[string, (path: string) => void, string[]]>([
  [
    "a link to a folder",
    (path) => {
      mkdirSync(join(path, "real/tidebase"), { recursive: true });
      mkdirSync(join(path, ".claude"));
      symlinkSync("../real", join(path, ".claude/skills"));
    },
    [".claude", ".claude/skills", "real", "real/tidebase"],
  ],
  [
    "one link to the other",
    (path) => {
      mkdirSync(join(path, ".agents"));
      symlinkSync(".agents", join(path, ".claude"));
    },
    [".agents", ".claude"],
  ],
  [
    "folders that were there",
    (path) => mkdirSync(join(path, ".agents/skills"), { recursive: true }),
    [".agents", ".agents/skills"],
  ],
])("%s stays when the skill is taken out, and all else goes", async (_, make, stays) => {
  const { path } = newProject();
  make(path);
  expect((await runInside(path, ["init"])).code).toBe(0);
  expect((await runInside(path, ["init"])).stdout).toContain("Up to date");
  expect(await runInside(path, ["init", "--remove"])).toMatchObject({ code: 0, stderr: "" });
  const left = readdirSync(path, { recursive: true, encoding: "utf8" });
  expect(left.filter((name) => !name.startsWith(".claude/skills/")).sort()).toEqual(stays); // it follows links
});

test("an older copy of the skill is replaced, and what is no longer part of it goes", async () => {
  const { path, write, read } = newProject();
  const init = (...args: string[]) => runInside(path, ["init", ...args]);
  await init();
  const record = ".agents/skills/tidebase/.tidebase-init.json";
  const told = JSON.parse(read(record));
  // As an older version had written it.
  write(".agents/skills/tidebase/gone.md", "old\n");
  const hash = createHash("sha256").update("old\n").digest("hex").slice(0, 16);
  write(
    record,
    JSON.stringify({
      ...told,
      files: { ...told.files, "gone.md": hash, "../../../AGENTS.md": hash },
    }),
  );
  expect((await init("--check")).code).toBe(1);
  expect((await init()).code).toBe(0);
  expect(existsSync(join(path, ".agents/skills/tidebase/gone.md"))).toBe(false);
  expect(JSON.parse(read(record))).toEqual(told);
  expect(read("AGENTS.md")).toBe(BLOCK);
});

test("--json tells each file and what became of it; --check goes alone", async () => {
  const { init } = newProject();
  const { stdout } = await init("--json");
  expect(JSON.parse(stdout)).toMatchObject({
    files: [{ file: "AGENTS.md", change: "create" }],
    written: true,
    mcp: [],
  });
  expect(await init("--check", "--mcp", "cursor", "--dry-run")).toMatchObject({
    code: 2,
    stderr: expect.stringMatching(/Leave out --dry-run and --mcp/),
  });
  expect((await init("--mcp", "--cursor")).code).toBe(2);
});
