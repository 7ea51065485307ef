import { existsSync, statSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { at, type Page, ROOT, readPage } from "./pages.ts";

interface Link {
  readonly line: number;
  readonly target: string;
}

/** The links of a page's prose: `[text](target)`, `<https://…>` and `[name]: target`. */
export function linksOf({ lines }: Page): Link[] {
  return lines.flatMap(({ number, text }) => {
    const prose = text.replaceAll(/`[^`]*`(?!\])/g, (code) => " ".repeat(code.length));
    const found = [
      ...prose.matchAll(/\]\(\s*<?([^)\s>]+)>?(?:\s+"[^"]*")?\s*\)/g),
      ...prose.matchAll(/<(https?:[^>\s]+)>/g),
      ...prose.matchAll(/^\s*\[[^\]]+\]:\s+(\S+)/g),
      ...prose.matchAll(/\b(?:href|src)="([^"]+)"/g),
    ];
    return found.map(([, target = ""]) => ({ line: number, target }));
  });
}

/** Links that lead nowhere: to no file, to no heading, or not by https. */
export function linkFaults(page: Page): string[] {
  return linksOf(page).flatMap(({ line, target }) => {
    const fault = faultOf(page, target);
    return fault === undefined ? [] : [`${at(page.path, line)}: ${fault}`];
  });
}

function faultOf(page: Page, target: string): string | undefined {
  if (/^[a-z][a-z+.-]*:/i.test(target))
    return target.startsWith("https://") ? undefined : `${target} is not https.`;
  const [file = "", anchor] = target.split("#");
  const path = file === "" ? page.path : normalize(join(dirname(page.path), decodeURI(file)));
  if (!existsSync(join(ROOT, path))) return `${target} leads to no file.`;
  if (anchor === undefined) return undefined;
  if (!path.endsWith(".md") || statSync(join(ROOT, path)).isDirectory())
    return `${target} names a heading of what is no page.`;
  const other = path === page.path ? page : readPage(path);
  return anchorsOf(other).has(anchor) ? undefined : `${target} leads to no heading of ${path}.`;
}

/** The anchors that GitHub gives the headings of a page. */
export function anchorsOf({ lines }: Page): Set<string> {
  const anchors = new Set<string>();
  const times = new Map<string, number>();
  for (const { text } of lines) {
    const heading = /^ {0,3}#{1,6}\s+(.*?)\s*#*$/.exec(text)?.[1];
    if (heading === undefined) continue;
    const anchor = heading
      .replaceAll(/\[([^\]]*)\]\([^)]*\)/g, "$1")
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}\s_-]/gu, "")
      .replaceAll(/\s/g, "-");
    const count = times.get(anchor) ?? 0;
    times.set(anchor, count + 1);
    anchors.add(count === 0 ? anchor : `${anchor}-${count}`);
  }
  return anchors;
}

/** The pages that a page links, by their paths from the root of the repository. */
export function linkedFiles(page: Page): Set<string> {
  const files = linksOf(page)
    .map(({ target }) => target.split("#")[0] ?? "")
    .filter((file) => file !== "" && !/^[a-z]+:/i.test(file));
  return new Set(files.map((file) => normalize(join(dirname(page.path), file))));
}
