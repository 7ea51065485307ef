import { randomBytes, randomUUID } from "node:crypto";
import fc from "fast-check";
import { countTokens } from "gpt-tokenizer";
import { expect, test } from "vitest";
import { estimateTokens } from "../src/answers/estimate.ts";
import { fit } from "../src/answers/fit.ts";
import { age } from "../src/answers/time.ts";
import { quote, quoteJson } from "../src/answers/untrusted.ts";
import { closest } from "../src/closest.ts";

const HIDDEN = /(?![\n\t])[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Cn}\p{Zl}\p{Zp}]/u;
const seed = Date.now() % 2 ** 31;

test(`a quoted text hides nothing, is short, and keeps plain text as it is (seed ${seed})`, () => {
  const text = fc.string({
    unit: fc.oneof(
      fc.string({ unit: "binary", maxLength: 1 }),
      fc.constantFrom("\u202e", "\u200b", "\ud800", "\u{e0001}", "a", "\n"),
    ),
  });
  fc.assert(
    fc.property(text, fc.integer({ min: 0, max: 50 }), (foreign, max) => {
      const quoted = quote(foreign, max);
      expect(HIDDEN.test(quoted)).toBe(false);
      expect(quoted.replace(/…\[\d+ more characters\]$/, "").length).toBeLessThanOrEqual(max);
      if (/^[\w ]*$/.test(foreign) && foreign.length <= max) expect(quoted).toBe(foreign);
    }),
    { seed },
  );
});

test("a quoted text says how much is missing", () => {
  expect(quote("abcdef", 4)).toBe("abcd…[2 more characters]");
  expect(quote("a\u200bb", 20)).toBe("a\\u{200b}b");
  expect(quoteJson({ a: "\u202e" }, 40)).toBe('{"a":"\\u{202e}"}');
});

test("an answer is cut in a fixed order: detail, text, rows from the end", () => {
  const list = Array.from({ length: 100 }, (_, n) => `${n} ${"x".repeat(300)}`);
  const seen: string[] = [];
  const answer = fit({ tokens: 500, text: 240, rows: 100 }, (cut) => {
    seen.push(`${cut.detail} ${cut.text} ${cut.rows}`);
    return { ...cut, list: list.slice(0, cut.rows).map((text) => text.slice(0, cut.text)) };
  });
  expect(seen.slice(0, 4)).toEqual([
    "true 240 100",
    "false 240 100",
    "false 120 100",
    "false 60 100",
  ]);
  expect(answer).toMatchObject({ detail: false, text: 60 });
  expect(Buffer.byteLength(JSON.stringify(answer))).toBeLessThanOrEqual(2000);
  expect(answer.rows).toBeGreaterThan(25);
});

test.each([
  ["ids", JSON.stringify(Array.from({ length: 50 }, () => ({ runId: `run_${randomUUID()}` })))],
  ["escapes", "x7 äö\\u{7}\\u{e0041}".repeat(50)],
  ["noise", randomBytes(600).toString("base64")],
  ["emoji", "👩‍👩‍👧🔥𝔘".repeat(50)],
  ["Japanese", "実行は失敗しました。もう一度".repeat(20)],
  ["a stack", "    at Object.run (/srv/app/dist/index.js:12:34)\n".repeat(20)],
  ["nested JSON", JSON.stringify(JSON.stringify({ a: [1, 'c"d'], x: "y\n" }).repeat(20))],
])("the estimate of what %s costs is at most a tenth too low", (_, text) => {
  expect(estimateTokens(text)).toBeGreaterThan(countTokens(text) * 0.9);
});

test.each([
  ["2026-01-01T00:00:00Z", "0s"],
  ["2025-12-31T23:59:15Z", "45s"],
  ["2025-12-31T20:47:30Z", "3h12m"],
  ["2025-12-29T00:00:00Z", "3d"],
  ["2026-01-01T00:00:09Z", "0s"],
])("the age of %s is %s", (instant, expected) => {
  expect(age(instant, Date.parse("2026-01-01T00:00:00Z"))).toBe(expected);
});

test.each([
  ["run_id", ["runId", "include"], "runId"],
  ["RUNID", ["include", "runId"], "runId"],
  ["workflw", ["workflow", "tag"], "workflow"],
  ["zzz", ["workflow", "tag"], undefined],
])("the closest to %s of %j is %s", (name, candidates, expected) => {
  expect(closest(name, candidates)).toBe(expected);
});
