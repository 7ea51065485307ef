/** Milliseconds of a clock that the processes of one machine share. */
export function now() {
  return Number(process.hrtime.bigint()) / 1e6;
}

/** The value in the middle; of an even number of values, the upper of the two. */
export function median(values) {
  return values.toSorted((a, b) => a - b)[values.length >> 1];
}

/** The value that this part of the values does not exceed. */
export function quantile(values, part) {
  return values.toSorted((a, b) => a - b)[Math.ceil(values.length * part) - 1];
}

/** Does `work(n)` `count` times, one after the other. Answers the time of each, in milliseconds. */
export async function timeEach(count, work) {
  const times = [];
  for (let n = 0; n < count; n++) {
    const started = performance.now();
    await work(n);
    times.push(performance.now() - started);
  }
  return times;
}

/** How many of `count` things a second, when `work` does them all. */
export async function rate(count, work) {
  const started = performance.now();
  await work();
  return count / ((performance.now() - started) / 1000);
}

/** `clients` closed loops at once, each of `count` turns. */
export async function inParallel(clients, count, work) {
  await Promise.all(Array.from({ length: clients }, () => timeEach(count, work)));
}

/** `work(0)` to `work(count - 1)`, so many at once. */
export async function pooled(count, atOnce, work) {
  let next = 0;
  const loop = async () => {
    while (next < count) await work(next++);
  };
  await Promise.all(Array.from({ length: atOnce }, loop));
}

/** A promise with its ends in hand. */
export function deferred() {
  const ends = {};
  ends.promise = new Promise((resolve, reject) => Object.assign(ends, { resolve, reject }));
  return ends;
}
