import type { IncomingMessage } from "node:http";
import type { ReadableStream } from "node:stream/web";
import { TidebaseError } from "@tidebase/core";

const JSON_TYPE = /^application\/json\s*(?:;\s*charset="?utf-8"?\s*)?$/i;
const utf8 = new TextDecoder("utf-8", { fatal: true });

/** A payload may have 2,000 levels (model.md §3); the envelope around it has a few. */
const DEPTH_MAX = 2016;

/** More members than the input of any operation, and any message of a mount, has beside its payloads. */
const MEMBERS_MAX = 100;

/** So few bytes are not nested so deeply, and of whatever they have, not too much. */
const SMALL_BYTES = 2016;

/** Only such text can hold a number beyond a double: without it nobody walks the value. */
const HUGE_NUMBER = /[eE]\+?\d{3}|(?<!\d)\d{200}/;

/**
 * The request's body: one JSON object in UTF-8, or nothing at all. Throws
 * `content_type_unsupported`, `body_too_large`, `json_malformed`, `number_out_of_range` or
 * `input_invalid` (nested too deeply to be written out again, or of too many members).
 */
export async function readBody(
  request: Request,
  incoming: IncomingMessage | undefined,
  limitBytes: number,
): Promise<object> {
  const { headers } = request;
  const type = headers.get("content-type");
  if (type === null ? headers.has("content-encoding") : !isPlainJson(type, headers))
    throw new TidebaseError("content_type_unsupported");
  const bytes = await readBytes(request, incoming, limitBytes);
  if (bytes.length === 0) return {};
  if (type === null) throw new TidebaseError("content_type_unsupported");
  return parse(bytes);
}

/** The body as it came, from the socket where there is one. Throws `body_too_large` or `request_malformed`. */
export async function readBytes(
  request: Request,
  incoming: IncomingMessage | undefined,
  limitBytes: number,
): Promise<Uint8Array> {
  if (Number(request.headers.get("content-length")) > limitBytes)
    throw new TidebaseError("body_too_large", { limitBytes });
  return incoming === undefined
    ? fromStream(request.body, limitBytes)
    : fromSocket(incoming, limitBytes);
}

function isPlainJson(type: string, headers: Headers): boolean {
  if (type !== "application/json" && !JSON_TYPE.test(type)) return false;
  return (headers.get("content-encoding") ?? "identity") === "identity";
}

/** Straight from Node's stream: a web stream in between costs more than the parsing. */
function fromSocket(incoming: IncomingMessage, limitBytes: number): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const chunks: Uint8Array[] = [];
    let size = 0;
    const settle = (act: () => void) => {
      incoming.off("data", onData).off("end", onEnd).off("error", onLost).off("close", onLost);
      act();
    };
    const onData = (chunk: Uint8Array) => {
      size += chunk.length;
      if (size > limitBytes)
        settle(() => reject(new TidebaseError("body_too_large", { limitBytes })));
      else chunks.push(chunk);
    };
    const onEnd = () => settle(() => resolve(join(chunks, size)));
    const onLost = (cause?: unknown) =>
      settle(() => reject(new TidebaseError("request_malformed", { cause })));
    incoming.on("data", onData).on("end", onEnd).on("error", onLost).on("close", onLost);
    if (incoming.destroyed && !incoming.readableEnded) onLost();
  });
}

async function fromStream(
  stream: ReadableStream<Uint8Array> | null,
  limitBytes: number,
): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of stream ?? []) {
    size += chunk.length;
    if (size > limitBytes) throw new TidebaseError("body_too_large", { limitBytes });
    chunks.push(chunk);
  }
  return join(chunks, size);
}

function join(chunks: readonly Uint8Array[], size: number): Uint8Array {
  const [only] = chunks;
  if (chunks.length === 1 && only !== undefined) return only;
  const whole = new Uint8Array(size);
  let offset = 0;
  for (const chunk of chunks) {
    whole.set(chunk, offset);
    offset += chunk.length;
  }
  return whole;
}

function parse(bytes: Uint8Array): object {
  const excess = bytes.length > SMALL_BYTES ? excessOf(bytes) : undefined;
  if (excess !== undefined)
    throw new TidebaseError("input_invalid", { issues: [{ path: "", message: excess }] });
  let text: string;
  let body: unknown;
  try {
    text = utf8.decode(bytes);
    body = JSON.parse(text);
  } catch (cause) {
    throw new TidebaseError("json_malformed", { cause });
  }
  if (typeof body !== "object" || body === null || Array.isArray(body))
    throw new TidebaseError("json_malformed");
  if (HUGE_NUMBER.test(text) && holdsInfinity(body)) throw new TidebaseError("number_out_of_range");
  return body;
}

const [QUOTE, BACKSLASH, COMMA] = [0x22, 0x5c, 0x2c];
const [OPEN_LIST, CLOSE_LIST, OPEN_OBJECT, CLOSE_OBJECT] = [0x5b, 0x5d, 0x7b, 0x7d];

/**
 * Counts brackets and the outermost commas outside strings, before anybody builds the value: a recursive reader
 * runs out of stack, and objects of very many members are slow to make, to copy and to refuse.
 */
function excessOf(bytes: Uint8Array): string | undefined {
  let depth = 0;
  let members = 1;
  for (let i = 0; i < bytes.length; i++) {
    const byte = bytes[i];
    if (byte === QUOTE) i = endOfString(bytes, i);
    else if (byte === OPEN_LIST || byte === OPEN_OBJECT) {
      if (++depth > DEPTH_MAX) return "is nested deeper than 2,000 levels";
    } else if (byte === CLOSE_LIST || byte === CLOSE_OBJECT) depth--;
    else if (byte === COMMA && depth === 1 && ++members > MEMBERS_MAX)
      return `has more than ${MEMBERS_MAX} members`;
  }
  return undefined;
}

function endOfString(bytes: Uint8Array, start: number): number {
  for (let i = start + 1; i < bytes.length; i++) {
    if (bytes[i] === BACKSLASH) i++;
    else if (bytes[i] === QUOTE) return i;
  }
  return bytes.length;
}

function holdsInfinity(body: object): boolean {
  const open: unknown[] = [body];
  for (let value = open.pop(); value !== undefined; value = open.pop()) {
    if (value === Infinity || value === -Infinity) return true;
    if (typeof value === "object" && value !== null)
      for (const member of Object.values(value)) open.push(member);
  }
  return false;
}
