/** From TIDEBASE_SEED, so that a failure can be made again; else a new one. */
export const seed = Number(process.env["TIDEBASE_SEED"] ?? Math.floor(Math.random() * 2 ** 31));

/** A repeatable sequence of numbers from 0 up to 1: a 32-bit linear congruential generator. */
export function random(from: number): () => number {
  let state = from >>> 0;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}
