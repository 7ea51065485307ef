/**
 * What a run is asked for is often begun first and awaited later, or never. When the attempt is given up in between, its
 * rejection must not end the whole process as an unhandled one.
 */
export function unheard<Value>(work: Promise<Value>): Promise<Value> {
  work.catch(() => {});
  return work;
}

/** Tells a listener of the user's, who has nobody to tell when that fails, at once or later. */
export function tell(listener: () => unknown): void {
  void unheard((async () => listener())());
}
