const KEY = Symbol.for("tidebase.profile.fired");

function counts(): Map<string, number> {
  const found: unknown = Reflect.get(globalThis, KEY);
  if (found instanceof Map) return found;
  const fresh = new Map<string, number>();
  Reflect.set(globalThis, KEY, fresh);
  return fresh;
}

/** Notes that this part of the profile has taken hold in this test file. */
export function fired(id: string): void {
  counts().set(id, (counts().get(id) ?? 0) + 1);
}

/** Those of them that have not. */
export function unfired(ids: readonly string[]): string[] {
  return ids.filter((id) => !counts().has(id));
}
