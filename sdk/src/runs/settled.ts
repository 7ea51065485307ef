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
