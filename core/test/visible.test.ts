import fc from "fast-check";
import { expect, test } from "vitest";
import { escapeHidden, visible, visibleLine } from "../src/index.ts";

test.each([
  ["a control", "\u001b", "\\u{1b}"],
  ["a control of the second half", "\u009b", "\\u{9b}"],
  ["a carriage return", "\r", "\\u{d}"],
  ["a change of direction", "\u202e", "\\u{202e}"],
  ["nothing at all", "\u200b", "\\u{200b}"],
  ["a tag beyond the first plane", "\u{e0041}", "\\u{e0041}"],
  ["half a character", "\ud800", "\\u{d800}"],
  ["a separator of lines", "\u2028", "\\u{2028}"],
  ["a private character", "\ue000", "\\u{e000}"],
  ["a character that is none yet", "\u0378", "\\u{378}"],
  ["a letter that looks blank", "\u3164", "\\u{3164}"],
  ["a blank pattern of dots", "\u2800", "\\u{2800}"],
  ["another look of the character before", "\ufe0f", "\\u{fe0f}"],
])("%s is made visible", (_, hidden, seen) => {
  expect(visible(`a${hidden}b${hidden}`)).toBe(`a${seen}b${seen}`);
  expect(visibleLine(`a${hidden}b${hidden}`)).toBe(`a${seen}b${seen}`);
});

test("what is seen stays, and line ends are each caller's choice", () => {
  const text = "é 日本 𝄞 👍 עברית\n\t.";
  expect(visible(text)).toBe(text);
  expect(visibleLine(text)).toBe("é 日本 𝄞 👍 עברית\\n\\t.");
  expect(escapeHidden("a\nb\u200bc", ({ length }) => `<${length}>`)).toBe("a<1>b<1>c");
});

test("nothing is hidden in what was made visible", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (text) => {
      expect(visible(visible(text))).toBe(visible(text));
      expect(visibleLine(text)).not.toMatch(/[\p{C}\p{Zl}\p{Zp}]/u);
    }),
  );
});
