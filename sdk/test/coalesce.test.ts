import { expect, test } from "vitest";
import { TidebaseError } from "../src/errors.ts";
import { coalesce } from "../src/transport/coalesce.ts";

const invalid = () => new TidebaseError("input_invalid", "an item is bad");

/** A lane that keeps what travelled together and gives each item back. */
function lane(refuses: (items: readonly string[]) => boolean = () => false) {
  const batches: number[] = [];
  const add = coalesce(async (items) => {
    batches.push(items.length);
    if (refuses(items)) throw invalid();
    return items.map((item) => `did ${item.slice(0, 9)}`);
  });
  return { batches, add };
}

test("what is added while a request is out travels together in the next one", async () => {
  const { batches, add } = lane();
  const answers = await Promise.all(Array.from({ length: 2500 }, (_, n) => add(String(n))));
  expect(batches).toEqual([1000, 1000, 500]);
  expect(answers[2499]).toBe("did 2499");
});

test("a request stays below four megabytes, unless one item alone is larger", async () => {
  const { batches, add } = lane();
  const megabyte = "é".repeat(500_000);
  await Promise.all([
    ...Array.from({ length: 9 }, () => add(megabyte)),
    add("x".repeat(5_000_000)),
  ]);
  expect(batches).toEqual([4, 4, 1, 1]);
});

test("when one item is refused, each is sent alone and fails alone", async () => {
  const { batches, add } = lane((items) => items.includes("bad"));
  const outcomes = await Promise.allSettled(["a", "bad", "c"].map(add));
  expect(outcomes.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "fulfilled"]);
  expect(batches).toEqual([3, 1, 1, 1]);
  expect(await add("later")).toBe("did later");
});

test("a refusal that concerns all rejects all, and the lane goes on", async () => {
  let isShut = true;
  const add = coalesce(async (items) => {
    if (isShut) throw new TidebaseError("key_invalid", "no");
    return items;
  });
  const outcomes = await Promise.allSettled(["a", "b"].map(add));
  expect(outcomes.map(({ status }) => status)).toEqual(["rejected", "rejected"]);
  isShut = false;
  expect(await add("c")).toBe("c");
});

test("a request that is late does not keep the next ones, up to four", async () => {
  const waiting: (() => void)[] = [];
  const batches: string[][] = [];
  const add = coalesce(async (items) => {
    batches.push([...items]);
    if (items.includes("stuck")) await new Promise<void>((resolve) => waiting.push(resolve));
    return items;
  });
  const stuck = [add("stuck")];
  await expect.poll(() => batches.length, { timeout: 5000 }).toBe(1);
  expect(await Promise.all([add("a"), add("b")])).toEqual(["a", "b"]);
  expect(batches).toEqual([["stuck"], ["a", "b"]]);
  for (let n = 2; n <= 4; n++) {
    stuck.push(add("stuck"));
    await expect.poll(() => waiting.length, { timeout: 5000 }).toBe(n);
  }
  const fifth = add("fifth");
  waiting.shift()?.();
  expect(await fifth).toBe("fifth");
  for (const go of waiting) go();
  expect(await Promise.all(stuck)).toEqual(["stuck", "stuck", "stuck", "stuck"]);
});
