import { expect, it } from "vitest";
import { linkedFiles, linkFaults } from "./links.ts";
import { allPages, parsePage, readPage } from "./pages.ts";

const pages = allPages();
const index = readPage("llms.txt");

it("finds that every link of every page and of llms.txt leads somewhere", () => {
  expect([...pages, index].flatMap(linkFaults)).toEqual([]);
});

it("knows a dead link by its page and line", () => {
  const text =
    "[a](concepts.md#stepps)\n[b](nowhere.md)\n[c](http://example.com)\n[d](concepts.md#steps)\n";
  expect(linkFaults(parsePage("docs/broken.md", text))).toEqual([
    "docs/broken.md:1: concepts.md#stepps leads to no heading of docs/concepts.md.",
    "docs/broken.md:2: nowhere.md leads to no file.",
    "docs/broken.md:3: http://example.com is not https.",
  ]);
});

it("finds every page of docs/ in docs/README.md and in llms.txt", () => {
  const guides = pages.filter(({ path }) => /^docs\//.test(path) && path !== "docs/README.md");
  const missingIn = (page: typeof index) => {
    const linked = linkedFiles(page);
    return guides
      .filter(({ path }) => !linked.has(path))
      .map(({ path }) => `${page.path}: no ${path}`);
  };
  expect([...missingIn(readPage("docs/README.md")), ...missingIn(index)]).toEqual([]);
});

it("finds llms.txt as its format says: a title, a summary, and sections of links with a line each", () => {
  const [title, empty, summary] = index.text.split("\n");
  expect([title, empty, summary?.slice(0, 2)]).toEqual(["# Tidebase", "", "> "]);
  const sections = index.text.split(/^## /m).slice(1);
  const strange = sections.flatMap((section) =>
    section
      .split("\n")
      .slice(1)
      .filter((line) => line !== "" && !/^- \[[^\]]+\]\([^)]+\): \S.*$/.test(line)),
  );
  expect([sections.length > 1, strange]).toEqual([true, []]);
});
