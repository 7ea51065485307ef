import fc from "fast-check";
import { expect, test } from "vitest";
import { type Field, readField } from "../src/index.ts";

const integer: Field = { type: "integer", minimum: 1, maximum: 5 };
const number: Field = { type: "number" };
const boolean: Field = { type: "boolean" };
const choice: Field = { type: "string", enum: ["Yes", "no"] };

test.each<[Field, string, string | number | boolean | undefined]>([
  ...["y", "Yes", " true "].map((text) => [boolean, text, true] as [Field, string, boolean]),
  ...["n", "NO", "false"].map((text) => [boolean, text, false] as [Field, string, boolean]),
  ...["", "1", "on", "yes!", "maybe"].map(
    (text) => [boolean, text, undefined] as [Field, string, undefined],
  ),
  ...[
    ["1", 1],
    [" 007 ", 7],
    ["+5", 5],
    ["-1.50", -1.5],
    [".5", 0.5],
    ["5.", 5],
    ["1e3", 1000],
  ].map(([text, value]) => [number, String(text), Number(value)] as [Field, string, number]),
  ...[
    "",
    " ",
    "0x10",
    "0b1",
    "0o7",
    "1_000",
    "1,5",
    "1 000",
    "1e999",
    "Infinity",
    "NaN",
    "two",
    "١",
  ].map((text) => [number, text, undefined] as [Field, string, undefined]),
  [integer, "3", 3],
  [integer, "9", 9], // bounds are for answerProblems
  [integer, "1.5", undefined],
  [integer, "9007199254740993", undefined],
  [choice, "Yes", "Yes"],
  [choice, "yes", undefined],
  [{ type: "string" }, " 0x10 ", " 0x10 "],
])("%j reads %j as %j", (field, text, value) => {
  expect(readField(field, text)).toBe(value);
});

test("a number is read as it is written", () => {
  fc.assert(
    fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), (value) => {
      expect(readField(number, String(value))).toBe(Number(String(value)));
    }),
  );
});
