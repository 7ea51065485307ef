import { execFile } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, it } from "vitest";
import { readPage } from "./docs/pages.ts";

const ROOT = fileURLToPath(new URL("../", import.meta.url));
const FOLDER = "skills/tidebase";
const VALIDATOR = "node_modules/skills-ref/dist/cli.js";

const skill = readPage(`${FOLDER}/SKILL.md`);
const names = readdirSync(join(ROOT, FOLDER, "references"));
const references = names.map((name) => readPage(`${FOLDER}/references/${name}`));
const pages = [skill, ...references];

/** Lines of a page, as an editor counts them. */
function lineCount({ text }: { readonly text: string }): number {
  return text.trimEnd().split("\n").length;
}

/** The text of a member of the frontmatter, folded into one line. */
function frontmatter(member: string): string {
  const head = skill.text.split("---\n")[1] ?? "";
  const found = new RegExp(`^${member}:(.*(?:\\n[ ]+.*)*)`, "m").exec(head)?.[1] ?? "";
  return found
    .replace(/^\s*>-/, "")
    .trim()
    .replace(/\s+/g, " ");
}

/** Where the links of a page's prose lead, from the root of the repository. */
function linksOf({ path, lines }: (typeof pages)[number]): string[] {
  return lines.flatMap(({ text }) =>
    [...text.matchAll(/\]\(([^)\s]+)\)/g)].map(([, to = ""]) =>
      /^[a-z]+:/.test(to) ? to : normalize(join(dirname(path), to)),
    ),
  );
}

it("passes the validator of the skills format", async () => {
  const answer = await promisify(execFile)(process.execPath, [VALIDATOR, "validate", FOLDER], {
    cwd: ROOT,
  });
  expect(answer.stdout).toContain("Valid skill");
});

it("says in its frontmatter what it is, when to use it, and which release it belongs to", () => {
  const { version } = JSON.parse(readFileSync(join(ROOT, "sdk/package.json"), "utf8"));
  const description = frontmatter("description");
  expect(frontmatter("name")).toBe("tidebase");
  expect(frontmatter("license")).toBe("Apache-2.0");
  expect(frontmatter("metadata")).toBe(`version: "${version}"`);
  expect(description.length).toBeLessThanOrEqual(1024);
  expect(description).toMatch(/^Wraps .* Use when .* Not for /);
});

it("is short enough to be read whole, and each reference to be read when it is needed", () => {
  expect(lineCount(skill)).toBeLessThanOrEqual(200);
  expect(skill.text.length / 4).toBeLessThan(5000); // tokens, as the format recommends
  for (const page of references) {
    expect(lineCount(page), page.path).toBeGreaterThanOrEqual(60);
    expect(lineCount(page), page.path).toBeLessThanOrEqual(170);
    expect(page.text, page.path).toMatch(/^# .+\n\nRead this /);
  }
});

it("keeps its references one level deep, and links each of them from SKILL.md", () => {
  const listed = readdirSync(join(ROOT, FOLDER, "references"), { withFileTypes: true });
  expect(listed.filter((entry) => !entry.isFile() || !entry.name.endsWith(".md"))).toEqual([]);
  const linked = new Set(linksOf(skill));
  expect(references.map(({ path }) => path).filter((path) => !linked.has(path))).toEqual([]);
});

it("has no dead link, and none out of its folder, since it is installed alone", () => {
  const faults = pages.flatMap((page) =>
    linksOf(page)
      .filter((to) => !to.startsWith(`${FOLDER}/`) || !existsSync(join(ROOT, to)))
      .map((to) => `${page.path}: ${to}`),
  );
  expect(faults).toEqual([]);
});

it("names scripts that it has, and holds a checklist of 12 to 20 points", () => {
  const scripts = pages.flatMap(({ text }) =>
    [...text.matchAll(/\bscripts\/[\w.-]+\.mjs/g)].map(([path]) => path),
  );
  expect(scripts.length).toBeGreaterThan(0);
  for (const path of scripts) expect(existsSync(join(ROOT, FOLDER, path)), path).toBe(true);
  const [, checklist = ""] = skill.text.split("## Check your diff\n");
  const points = checklist.split("\n## ")[0]?.match(/^\d+\. /gm) ?? [];
  expect(points.length).toBeGreaterThanOrEqual(12);
  expect(points.length).toBeLessThanOrEqual(20);
});
