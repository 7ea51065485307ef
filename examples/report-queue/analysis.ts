/** What a report says of a document; the same text always gives the same. */
export interface Analysis {
  readonly title: string;
  readonly words: number;
  readonly headings: readonly string[];
  /** Targets of Markdown links, and modules that are imported. */
  readonly links: readonly string[];
  readonly codeLines: number;
  /** The longest first, at most three. */
  readonly longestFunctions: readonly { readonly name: string; readonly lines: number }[];
}

const FENCE = /^\s*```/;
const FUNCTION = /^(\s*)(?:export )?(?:async )?function\*? (\w+)/;
const SENTENCES = 3;
const KEYWORDS = 12;

/** Counts and lists what can be counted and listed in a Markdown or TypeScript file. */
export function analyse(path: string, text: string): Analysis {
  const lines = text.split("\n");
  const prose = path.endsWith(".md") ? outsideFences(lines) : lines.filter(isComment);
  const code = path.endsWith(".md")
    ? lines.length - prose.length
    : lines.filter((line) => line.trim() !== "" && !isComment(line)).length;
  const headings = path.endsWith(".md")
    ? prose.flatMap((line) => /^#+ (.+)$/.exec(line)?.[1]?.trim() ?? [])
    : lines.flatMap(
        (line) =>
          /^export (?:async )?(?:function\*?|class|const|interface|type) (\w+)/.exec(line)?.[1] ??
          [],
      );
  return {
    title: path.endsWith(".md") ? (headings[0] ?? path) : path,
    words: text.split(/\s+/).filter((word) => /\w/.test(word)).length,
    headings,
    links: linksOf(path, path.endsWith(".md") ? prose.join("\n") : text),
    codeLines: code,
    longestFunctions: longestFunctions(lines),
  };
}

/**
 * The sentences that have most of the words the text uses most, in the order of the text: an
 * extract, with no model asked.
 */
export function summarise(path: string, text: string): string[] {
  const lines = text.split("\n");
  const prose = path.endsWith(".md") ? outsideFences(lines) : lines.filter(isComment);
  const plain = prose
    .filter((line) => !/^\s*[#|>]/.test(line))
    .map((line) => line.replace(/^\s*(?:\/?\*+\/?|\/\/|[-*])\s?/, ""))
    .join(" ");
  const sentences =
    plain.match(/(?<=^|[.!?:] +)[A-Z](?:[^.!?]|[.!?](?!\s|$)){20,}[.!?](?=\s|$)/g) ?? [];
  const top = new Set(mostUsed(plain));
  const ranked = sentences.map((sentence, index) => {
    const words = wordsOf(sentence);
    const hits = words.filter((word) => top.has(word)).length;
    return { sentence: sentence.replace(/\s+/g, " "), index, score: hits / (words.length + 5) };
  });
  return ranked
    .sort((a, b) => b.score - a.score || a.index - b.index)
    .slice(0, SENTENCES)
    .sort((a, b) => a.index - b.index)
    .map(({ sentence }) => sentence);
}

function outsideFences(lines: readonly string[]): string[] {
  let isInside = false;
  return lines.filter((line) => {
    if (FENCE.test(line)) isInside = !isInside;
    return !isInside && !FENCE.test(line);
  });
}

function isComment(line: string): boolean {
  return /^\s*(\/\/|\/?\*)/.test(line);
}

function linksOf(path: string, text: string): string[] {
  const pattern = path.endsWith(".md")
    ? /(?<!`)\[[^\]\n]+\]\(([^)\s]+)\)/g
    : /^(?:import|export)[^"']*from ["']([^"']+)["']/gm;
  return [...new Set([...text.matchAll(pattern)].map(([, target = ""]) => target))];
}

/** From its line to the brace that closes it, which the formatter puts at the same indent. */
function longestFunctions(lines: readonly string[]): Analysis["longestFunctions"] {
  const found = lines.flatMap((line, start) => {
    const [, indent, name] = FUNCTION.exec(line) ?? [];
    if (indent === undefined || name === undefined) return [];
    const end = lines.indexOf(`${indent}}`, start);
    return end < 0 ? [] : [{ name, lines: end - start + 1 }];
  });
  return found.sort((a, b) => b.lines - a.lines).slice(0, 3);
}

function mostUsed(text: string): string[] {
  const counts = new Map<string, number>();
  for (const word of wordsOf(text)) counts.set(word, (counts.get(word) ?? 0) + 1);
  return [...counts]
    .sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1))
    .slice(0, KEYWORDS)
    .map(([word]) => word);
}

function wordsOf(text: string): string[] {
  return text.toLowerCase().match(/[a-z]{5,}/g) ?? [];
}
