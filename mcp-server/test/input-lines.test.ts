import { once } from "node:events";
import { expect, test, vi } from "vitest";
import { inputLines } from "../src/input-lines.ts";

const MAX = 10 * 1_048_576;

/** What passes, and the answers to what does not, when these chunks come. */
async function passed(chunks: readonly string[]): Promise<{ lines: string[]; refused: unknown[] }> {
  const refused: unknown[] = [];
  const lines: string[] = [];
  const input = inputLines((answer) =>
    refused.push(answer === undefined ? undefined : JSON.parse(answer)),
  );
  input.on("data", (line) => lines.push(String(line)));
  for (const chunk of chunks) input.write(Buffer.from(chunk));
  input.end();
  await once(input, "end");
  return { lines, refused };
}

test("lines are passed on whole, however they come", async () => {
  const { lines, refused } = await passed(["a\nb", "c\n", "\n", "é", "\r\nlast"]);
  expect(lines).toEqual(["a\n", "bc\n", "\n", "é\r\n"]);
  expect(refused).toEqual([]);
});

test("the longest line passes, and one byte more does not", async () => {
  const longest = "x".repeat(MAX - 2);
  expect((await passed([longest, "\n"])).lines).toEqual([`${longest}\n`]);
  const longer = await passed([longest, "xx\n", "next\n"]);
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
])("a line that is too long is answered by its id %s", async (_, chunks, id) => {
  const answer = { jsonrpc: "2.0", id, error: { code: -32_600, message: expect.any(String) } };
  expect(await passed(chunks)).toEqual({
    lines: [],
    refused: [id === undefined ? undefined : answer],
  });
});

test("the handshake passes at once, and what follows it when the rest is loaded", async () => {
  let loaded = (): void => {};
  const began = vi.fn(() => new Promise<void>((resolve) => (loaded = resolve)));
  const input = inputLines(() => {}, began);
  const lines: string[] = [];
  input.on("data", (line) => lines.push(String(line)));
  input.write(Buffer.from('{"id":0,"method":"initialize"}\n{"id":1,"method":"initialize"}\n'));
  await vi.waitFor(() => expect(began).toHaveBeenCalledOnce());
  expect(lines).toEqual(['{"id":0,"method":"initialize"}\n']);
  input.end('{"id":2}\n');
  loaded();
  await once(input, "end");
  expect(lines.slice(1)).toEqual(['{"id":1,"method":"initialize"}\n', '{"id":2}\n']);
  expect(began).toHaveBeenCalledOnce();
});

test("a first line that is no handshake waits too", async () => {
  const input = inputLines(
    () => {},
    async () => void order.push("loaded"),
  );
  const order: string[] = [];
  input.on("data", (line) => order.push(String(line)));
  input.end('{"id":1,"method":"tools/list"}\n');
  await once(input, "end");
  expect(order).toEqual(["loaded", '{"id":1,"method":"tools/list"}\n']);
});
