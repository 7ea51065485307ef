import { expect, test } from "vitest";
import { inputLines } from "../src/input-lines.ts";

const MAX = 10 * 1_048_576;

/** What passes, and the answers to what does not, when these chunks come. */
function passed(chunks: readonly string[]): { lines: string[]; refused: unknown[] } {
  const refused: unknown[] = [];
  const lines: string[] = [];
  const input = inputLines((answer) =>
    refused.push(answer === undefined ? undefined : JSON.parse(answer)),
  );
  input.on("data", (line) => lines.push(String(line)));
  for (const chunk of chunks) input.write(Buffer.from(chunk));
  return { lines, refused };
}

test("lines are passed on whole, however they come", () => {
  const { lines, refused } = passed(["a\nb", "c\n", "\n", "é", "\r\nlast"]);
  expect(lines).toEqual(["a\n", "bc\n", "\n", "é\r\n"]);
  expect(refused).toEqual([]);
});

test("the longest line passes, and one byte more does not", () => {
  const longest = "x".repeat(MAX - 2);
  expect(passed([longest, "\n"]).lines).toEqual([`${longest}\n`]);
  const longer = passed([longest, "xx\n", "next\n"]);
  expect(longer).toEqual({ lines: ["next\n"], refused: [undefined] });
});

const LONG = "x".repeat(MAX / 4);

test.each([
  [
    "at the end",
    ['{"method":"ping","params":"', LONG, LONG, LONG, LONG, '","id', '":"a-7"}\n'],
    "a-7",
  ],
  ["at the beginning", ['{"jsonrpc":"2.0","id":7,"params":"', LONG, LONG, LONG, LONG, '"}\n'], 7],
  ["in one piece", [`{"id":7,"params":"${LONG.repeat(5)}"}\n`], 7],
  ["inside alone", ['{"params":{"id":7,"x":"', LONG, LONG, LONG, LONG, '"}}\n'], undefined],
])("a line that is too long is answered by its id %s", (_, chunks, id) => {
  const answer = { jsonrpc: "2.0", id, error: { code: -32_600, message: expect.any(String) } };
  expect(passed(chunks)).toEqual({ lines: [], refused: [id === undefined ? undefined : answer] });
});
