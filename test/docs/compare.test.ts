import { expect, it } from "vitest";
import { allPages, at, type Page, parsePage } from "./pages.ts";

const pages = allPages().filter(({ path }) => path.startsWith("docs/compare/"));
const others = allPages().filter(({ path }) => ["README.md", "docs/faq.md"].includes(path));
/** Who a page of docs/compare is about, and how the page names them. */
const PEERS =
  /\b(Temporal|Inngest|LangGraph|LangChain|DBOS|Restate|Trigger\.dev|BullMQ|pg-boss|Hatchet|Cloudflare|Convex)\b/;

/** Rows and bullets that say something of a peer and show no source; the head of a table says nothing. */
function claimsWithoutSource({ path, lines }: Page): string[] {
  return lines.flatMap(({ number, text }, index) => {
    const isRow = /^\s*\|/.test(text) && !/^\s*\|[\s:|-]+\|?$/.test(text);
    const isHead = /^\s*\|[\s:|-]+\|?$/.test(lines[index + 1]?.text ?? "");
    const isBullet = /^\s*[-*] /.test(text);
    if (!((isRow && !isHead) || isBullet)) return [];
    const item = isBullet ? wholeItem(lines, index) : text;
    const speaks =
      (isRow && path.startsWith("docs/compare/")) ||
      PEERS.test(item.replaceAll(/\]\([^)]*\)/g, "]"));
    return speaks && !/\]\(https:\/\/[^)]+\)/.test(item) ? [`${at(path, number)}: no source`] : [];
  });
}

/** A bullet with the lines that it goes on in. */
function wholeItem(lines: Page["lines"], index: number): string {
  const rest = lines.slice(index + 1);
  const next = rest.findIndex(({ text }) => /^\s*([-*] |#|\||$)/.test(text));
  return [lines[index], ...rest.slice(0, next === -1 ? rest.length : next)]
    .map((line) => line?.text ?? "")
    .join(" ");
}

it("finds a date on every page about peers", () => {
  const undated = pages.filter(({ text }) => !/\bAs of \d{4}-\d{2}-\d{2}\b/.test(text));
  expect(undated.map(({ path }) => path)).toEqual([]);
});

it("finds a public source at each row and bullet that speaks of a peer", () => {
  expect(pages.flatMap(claimsWithoutSource)).toEqual([]);
  expect(others).toHaveLength(2);
  expect(others.flatMap(claimsWithoutSource)).toEqual([]);
});

it("knows a claim without a source by its page and line", () => {
  const text = `| | Temporal |
| --- | --- |
| cron | yes |
| sleep | [yes](https://docs.temporal.io/) |

- Temporal has seven languages,
  or more.
- Temporal has
  [schedules](https://docs.temporal.io/schedule).
- Tidebase has one.
`;
  expect(claimsWithoutSource(parsePage("docs/compare/broken.md", text))).toEqual([
    "docs/compare/broken.md:3: no source",
    "docs/compare/broken.md:6: no source",
  ]);
});
