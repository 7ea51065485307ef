/** xorshift32: an integer from 0 up to and without `below`, the same ones for the same seed. */
export function randomOf(seed: number): (below: number) => number {
  let x = seed | 1;
  return (below) => {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    return Math.floor(((x >>> 0) / 2 ** 32) * below);
  };
}

/** The seed that TIDEBASE_SEED names, else a new one. */
export const seedOf = (): number => Number(process.env["TIDEBASE_SEED"] ?? Date.now() % 2 ** 31);
