/** A document with how well it answers the query; higher is better. */
export interface Ranked<Item> {
  readonly item: Item;
  readonly score: number;
}

const SATURATION = 1.4;
const LENGTH_WEIGHT = 0.6;
const STOP_WORDS = new Set(
  "a an and are as at be been but by can did do does for from had has have how if in into is it its may must no not of on one or our so than that the their them then there these they this to was were what when where which while who whom why will with would you your".split(
    " ",
  ),
);

/** The words of a text that carry meaning, in order, reduced to a rough stem. */
export function termsOf(text: string): string[] {
  const words = text
    .replace(/([a-z])([A-Z])/g, "$1 $2")
    .toLowerCase()
    .match(/[a-z][a-z0-9]+/g);
  return (words ?? []).filter((word) => !STOP_WORDS.has(word)).map(stem);
}

function stem(word: string): string {
  if (word.length < 5) return word.replace(/([^su])s$/, "$1");
  return word
    .replace(/(ies|ied)$/, "y")
    .replace(/(ing|ed|es|s|e)$/, "")
    .replace(/([^aeiouls])\1$/, "$1");
}

/**
 * The items that share a word with the query, best first: Okapi BM25 (Robertson and Zaragoza, "The
 * Probabilistic Relevance Framework: BM25 and Beyond", 2009). Ties keep the order given.
 */
export function rank<Item>(
  query: string,
  items: readonly Item[],
  textOf: (item: Item) => string,
): Ranked<Item>[] {
  const documents = items.map((item) => countTerms(termsOf(textOf(item))));
  const mean = documents.reduce((sum, { length }) => sum + length, 0) / (items.length || 1);
  const wanted = [...new Set(termsOf(query))].map((term) => ({
    term,
    weight: rarity(documents.filter(({ counts }) => counts.has(term)).length, items.length),
  }));
  const ranked = items.map((item, index) => {
    const { counts, length } = documents[index] ?? countTerms([]);
    const stretch = SATURATION * (1 - LENGTH_WEIGHT + (LENGTH_WEIGHT * length) / (mean || 1));
    const score = wanted.reduce((sum, { term, weight }) => {
      const count = counts.get(term) ?? 0;
      return sum + (weight * count * (SATURATION + 1)) / (count + stretch);
    }, 0);
    return { item, score };
  });
  return ranked.filter(({ score }) => score > 0).sort((one, other) => other.score - one.score);
}

function countTerms(terms: readonly string[]): { counts: Map<string, number>; length: number } {
  const counts = new Map<string, number>();
  for (const term of terms) counts.set(term, (counts.get(term) ?? 0) + 1);
  return { counts, length: terms.length };
}

function rarity(containing: number, all: number): number {
  return Math.log(1 + (all - containing + 0.5) / (containing + 0.5));
}
