/** The candidate most like the name, or undefined when none is like it. Case and `_` do not count. */
export function closest(name: string, candidates: readonly string[]): string | undefined {
  const wanted = normal(name);
  let best: { candidate: string; distance: number } | undefined;
  for (const candidate of candidates) {
    const against = normal(candidate);
    const contained = wanted.length > 1 && (against.includes(wanted) || wanted.includes(against));
    const distance = contained
      ? Math.abs(wanted.length - against.length) / 100
      : distanceOf(wanted, against);
    if (distance < (best?.distance ?? Math.max(2, wanted.length / 2)))
      best = { candidate, distance };
  }
  return best?.candidate;
}

function normal(name: string): string {
  return name
    .slice(0, 100)
    .toLowerCase()
    .replace(/^tidebase/, "")
    .replaceAll(/[^a-z0-9]/g, "");
}

/** Levenshtein's: insertions, deletions and replacements. */
function distanceOf(from: string, to: string): number {
  let row = Array.from({ length: to.length + 1 }, (_, index) => index);
  for (const [i, character] of [...from].entries()) {
    const next = [i + 1];
    for (let j = 0; j < to.length; j++) {
      const replaced = (row[j] ?? 0) + (character === to[j] ? 0 : 1);
      next.push(Math.min(replaced, (row[j + 1] ?? 0) + 1, (next[j] ?? 0) + 1));
    }
    row = next;
  }
  return row[to.length] ?? 0;
}
