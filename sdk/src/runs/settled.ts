type Settled<Result> =
  | { readonly ok: true; readonly value: Result }
  | { readonly ok: false; readonly error: unknown };

/** How the work ended; never rejects. */
export async function settled<Result>(
  work: () => Result | Promise<Result>,
): Promise<Settled<Result>> {
  try {
    return { ok: true, value: await work() };
  } catch (error) {
    return { ok: false, error };
  }
}

/**
 * A wait is often begun first and awaited later. When the attempt is given up in between, its
 * rejection must not end the whole process as an unhandled one.
 */
export function unheard<Value>(wait: Promise<Value>): Promise<Value> {
  wait.catch(() => {});
  return wait;
}
