/** One message of the Postgres protocol, version 3, whole. */
export interface Message {
  /** Its letter; empty for what has none: the start-up's messages and the answer to an SSLRequest. */
  readonly type: string;
  /** All of it, with its header. */
  readonly bytes: Buffer;
  /** What follows the header. */
  readonly body: Buffer;
}

/** Takes the next chunk of a stream, wherever it was split. Throws RangeError for what cannot be this protocol. */
export type Reader = (chunk: Buffer) => void;

/** A length counts itself and what follows, not the letter before it. */
const LENGTH_BYTES = 4;
/** More than Postgres takes itself (1 GiB): the stream is read at a wrong place, or encrypted. */
const LENGTH_MAX = 2 ** 30;

/** Codes in the place of the protocol's version: another first message follows. */
const SSL_REQUEST = 80_877_103;
const GSS_REQUEST = 80_877_104;

/** Reads what a client sends: first messages without a letter, then those with one. */
export function frontendMessages(onMessage: (message: Message) => void): Reader {
  const pieces = openPieces();
  let started = false;
  return (chunk) => {
    pieces.add(chunk);
    for (;;) {
      const message = takeMessage(pieces, started);
      if (message === undefined) return;
      started ||= !asksForEncryption(message);
      onMessage(message);
    }
  };
}

/**
 * Reads what Postgres sends. `encryptionAsked` says whether the next thing is the one byte that answers a request for
 * encryption; only its refusal can be read on.
 */
export function backendMessages(
  onMessage: (message: Message) => void,
  encryptionAsked: () => boolean = () => false,
): Reader {
  const pieces = openPieces();
  return (chunk) => {
    pieces.add(chunk);
    for (;;) {
      const message =
        pieces.length > 0 && encryptionAsked()
          ? { type: "", bytes: pieces.take(1), body: Buffer.alloc(0) }
          : takeMessage(pieces, true);
      if (message === undefined) return;
      onMessage(message);
    }
  };
}

/** Whether it is a client's SSLRequest or GSSENCRequest, which one byte answers. */
export function asksForEncryption({ type, body }: Message): boolean {
  if (type !== "" || body.length < LENGTH_BYTES) return false;
  const code = body.readInt32BE();
  return code === SSL_REQUEST || code === GSS_REQUEST;
}

/** The first texts of a message, each ended by a zero: of a Query its SQL, of a Parse its statement's name and SQL. */
export function textsOf({ body }: Message, count: number): string[] {
  const texts: string[] = [];
  for (let at = 0; texts.length < count; ) {
    const end = body.indexOf(0, at);
    texts.push(body.toString("utf8", at, end === -1 ? body.length : end));
    at = end === -1 ? body.length : end + 1;
  }
  return texts;
}

/** One after the other. Node's own types do not take a Buffer for the Uint8Array that it is. */
export function joined(parts: readonly Buffer[]): Buffer {
  return Buffer.concat(parts as readonly Uint8Array[]);
}

function takeMessage(pieces: Pieces, hasLetter: boolean): Message | undefined {
  const letter = hasLetter ? 1 : 0;
  if (pieces.length < letter + LENGTH_BYTES) return undefined;
  const header = pieces.peek(letter + LENGTH_BYTES);
  const length = header.readInt32BE(letter);
  if (length < LENGTH_BYTES || length > LENGTH_MAX)
    throw new RangeError(`A message of ${length} bytes: this is not the Postgres protocol.`);
  if (pieces.length < letter + length) return undefined;
  const bytes = pieces.take(letter + length);
  const body = bytes.subarray(letter + LENGTH_BYTES);
  return { type: bytes.toString("latin1", 0, letter), bytes, body };
}

/** Bytes that came in pieces; joined only when enough of them are there. */
interface Pieces {
  readonly length: number;
  add(chunk: Buffer): void;
  /** At least the first so many; there must be as many. */
  peek(count: number): Buffer;
  take(count: number): Buffer;
}

function openPieces(): Pieces {
  let chunks: Buffer[] = [];
  let length = 0;

  function peek(count: number): Buffer {
    const [first = Buffer.alloc(0)] = chunks;
    if (first.length >= count) return first;
    const whole = joined(chunks);
    chunks = [whole];
    return whole;
  }

  return {
    get length() {
      return length;
    },
    add(chunk) {
      chunks.push(chunk);
      length += chunk.length;
    },
    peek,
    take(count) {
      const first = peek(count);
      chunks[0] = first.subarray(count);
      if (chunks[0].length === 0) chunks.shift();
      length -= count;
      return first.subarray(0, count);
    },
  };
}
