import { Transform } from "node:stream";

/** The longest message, in bytes. The SDK gives up the whole session over 10 MiB. */
const LINE_MAX_BYTES = 10 * 1_048_576 - 1;
/** A request's id stands at the beginning or at the end, whoever wrote it. */
const KEPT_BYTES = 512;
const NEWLINE = 10;

/**
 * Passes on whole lines. One that is too long is kept from the session, which goes on; `refuse` is given
 * the JSON-RPC answer to it, or undefined where no id was found. The first line passes at once when it is
 * the handshake; everything else waits until what `load` begins is done.
 */
export function inputLines(
  refuse: (answer: string | undefined) => void,
  load: () => Promise<void> = async () => {},
): Transform {
  let loading: Promise<void> | undefined;
  let parts: Uint8Array[] = [];
  let bytes = 0;
  let head = "";
  let tail = "";

  function take(part: Uint8Array): void {
    bytes += part.length;
    parts.push(part);
    if (bytes <= LINE_MAX_BYTES) return;
    if (head === "") head = textOf((parts[0] ?? part).subarray(0, KEPT_BYTES));
    for (const one of parts.slice(-2)) tail += textOf(one.subarray(-KEPT_BYTES));
    tail = tail.slice(-KEPT_BYTES);
    parts = [];
  }

  /** The line that has come to its end, unless it was too long. */
  function finish(): Buffer | undefined {
    const line = bytes <= LINE_MAX_BYTES ? Buffer.concat(parts) : undefined;
    if (line === undefined) refuse(answerTo(head, tail.trimEnd()));
    [parts, bytes, head, tail] = [[], 0, "", ""];
    return line;
  }

  function* linesOf(chunk: Uint8Array): Generator<Buffer> {
    for (let rest = chunk; rest.length > 0; ) {
      const end = rest.indexOf(NEWLINE);
      const part = end === -1 ? rest : rest.subarray(0, end + 1);
      rest = rest.subarray(part.length);
      take(part);
      const line = end === -1 ? undefined : finish();
      if (line !== undefined) yield line;
    }
  }

  async function pass(lines: Iterable<Buffer>, push: (line: Buffer) => void): Promise<void> {
    for (const line of lines) {
      const isFirst = loading === undefined;
      // By then its answer is written.
      loading ??= new Promise<void>((resolve) => setImmediate(resolve)).then(load);
      if (!isFirst || !HANDSHAKE.test(line.toString("utf8", 0, KEPT_BYTES))) await loading;
      push(line);
    }
  }

  return new Transform({
    transform(chunk: Uint8Array, _, done) {
      pass(linesOf(chunk), (line) => this.push(line)).then(() => done(), done);
    },
  });
}

const HANDSHAKE = /"method"\s*:\s*"initialize"/;

function textOf(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}

const ID = String.raw`"id"\s*:\s*(\d{1,16}|"[\w-]{1,100}")`;
const AT_THE_END = new RegExp(`${ID}\\s*\\}$`);
const AT_THE_BEGINNING = new RegExp(
  `^\\s*\\{\\s*(?:"jsonrpc"\\s*:\\s*"2\\.0"\\s*,\\s*)?${ID}\\s*,`,
);

function answerTo(head: string, tail: string): string | undefined {
  const id = AT_THE_BEGINNING.exec(head)?.[1] ?? AT_THE_END.exec(tail)?.[1];
  if (id === undefined) return undefined;
  const message = `The message is longer than ${LINE_MAX_BYTES} bytes: send less.`;
  const error = { code: -32_600, message };
  return `{"jsonrpc":"2.0","id":${id},"error":${JSON.stringify(error)}}\n`;
}
