import { shuffled } from "../random.ts";
import type { Place } from "./place.ts";

/** A place of a load: one trial. */
export interface Point {
  readonly load: string;
  readonly at: Place;
}

/** Every place of so many points, the first ones first. */
export function placesOf(points: number): Place[] {
  return Array.from({ length: points }, (_, i) => i + 1).flatMap((n) => [
    { n, when: "before" as const },
    { n, when: "after" as const },
  ]);
}

/**
 * The places of all loads in a random order that takes a place of each load in turn, so that however few are tried, each
 * load has its share.
 */
export function dealt(
  loads: ReadonlyMap<string, number>,
  random: (below: number) => number,
): Point[] {
  const decks = [...loads].map(([load, points]) => ({
    load,
    places: shuffled(placesOf(points), random),
  }));
  const points: Point[] = [];
  for (let left = true; left; ) {
    left = false;
    for (const { load, places } of decks) {
      const at = places.pop();
      if (at === undefined) continue;
      points.push({ load, at });
      left = true;
    }
  }
  return points;
}

/** Those of these names, which may leave out that a load is a sweep. Throws for a name that none has. */
export function chosen<Load extends { readonly id: string }>(
  loads: readonly Load[],
  wanted: readonly string[] | undefined,
): readonly Load[] {
  if (wanted === undefined) return loads;
  return wanted.map((name) => {
    const found = loads.find(({ id }) => id === name || id === `sweep ${name}`);
    if (found !== undefined) return found;
    throw new Error(`No load is called ${name}: ${loads.map(({ id }) => id).join(", ")}.`);
  });
}
