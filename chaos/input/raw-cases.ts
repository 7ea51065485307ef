import type { Row } from "./rows.ts";

/** Bytes on a socket of their own, and what has to come back before it closes. */
export interface RawCase {
  readonly row: Row;
  readonly title: string;
  readonly bytes: string | Uint8Array;
  /** Of the last answer. */
  readonly right: readonly number[];
  /** The client sends no more and says so. */
  readonly ends: boolean;
  /** A part of it is good and writes. */
  readonly writes: boolean;
}

/** Who calls, in every head. */
export interface RawCaller {
  readonly authorization: string;
  readonly runId: string;
}

/** Parts of requests. */
interface Parts extends RawCaller {
  readonly host: string;
  /** The head of a POST without its end. */
  readonly json: string;
  get(path: string, more?: string): string;
  post(head: string, sent: string): string;
}

const CLOSE = "connection: close\r\n";
const CHUNKED = "transfer-encoding: chunked\r\n";
const BODY = '{"workflow":"w"}';
const SMUGGLED = "GET /v1/keys HTTP/1.1\r\nhost: localhost\r\n\r\n";
const MIB = 1_048_576;
const LONG = "a".repeat(100_000);
const TLS_HELLO = Uint8Array.from([0x16, 3, 1, 0, 0xc8, 1, 0, 0, 0xc4, 3, 3]);
const NOISE = Uint8Array.from({ length: 512 }, (_, n) => (n * 73 + 41) % 256);

type Line = readonly [
  row: Row,
  title: string,
  bytes: string | Uint8Array | ((parts: Parts) => string),
  right: readonly number[],
  ends?: true,
];

const STRANGERS: readonly Line[] = [
  ["B1", "a garbage request line", "GARBAGE\r\n\r\n", [400]],
  ["B1", "TLS on a plain port", TLS_HELLO, [400]],
  ["B1", "HTTP/2 from the first byte", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", [400]],
  ["B1", "another protocol", "*1\r\n$4\r\nPING\r\n", [400]],
  ["B1", "noise", NOISE, [400]],
  ["B1", "an unknown method", ({ host }) => `BREW /v1/runs HTTP/1.1\r\n${host}\r\n`, [400]],
  ["B1", "no Host", `GET /v1/overview HTTP/1.1\r\n${CLOSE}\r\n`, [400, 401, 403]],
  ["B1", "a Host that is none", `GET / HTTP/1.1\r\nhost: a b@c\r\n${CLOSE}\r\n`, [400, 403]],
];

const twice = (head: string) => `${head}${head}`;

const LENGTHS: readonly Line[] = [
  ["B3", "two lengths", (p) => p.post("content-length: 16\r\ncontent-length: 17\r\n", BODY), [400]],
  ["B3", "a list of lengths", (p) => p.post("content-length: 16, 16\r\n", BODY), [400]],
  ["B3", "a negative length", (p) => p.post("content-length: -1\r\n", BODY), [400]],
  ["B3", "a length that is none", (p) => p.post("content-length: x\r\n", BODY), [400]],
  ["B3", "20 digits", (p) => p.post(`content-length: ${"9".repeat(20)}\r\n`, BODY), [400, 413]],
  ["B3", "over the limit", (p) => p.post("content-length: 99999999999\r\n", ""), [413]],
  ["B3", "more announced than sent", (p) => p.post("content-length: 99\r\n", BODY), [400], true],
  ["B3", "less than sent", ({ json }) => `${json}content-length: 5\r\n\r\n${BODY}`, [400]],
  ["B3", "length and chunks", (p) => p.post(`content-length: 5\r\n${CHUNKED}`, "0\r\n\r\n"), [400]],
  ["B3", "chunked twice", (p) => p.post(twice(CHUNKED), "0\r\n\r\n"), [400]],
  [
    "B3",
    "gzip and chunks",
    (p) => p.post("transfer-encoding: gzip, chunked\r\n", "0\r\n\r\n"),
    [400],
  ],
  ["B3", "an unknown coding", (p) => p.post("transfer-encoding: xchunked\r\n", BODY), [400]],
  ["B3", "a chunk size that is none", (p) => p.post(CHUNKED, "zz\r\n"), [400]],
  ["B3", "a chunk of 2^64", (p) => p.post(CHUNKED, "10000000000000000\r\nx"), [400]],
  ["B3", "a long extension", (p) => p.post(CHUNKED, `1;${LONG}\r\nx\r\n0\r\n\r\n`), [400, 413]],
  ["B3", "60 MiB", (p) => p.post(`content-length: ${60 * MIB}\r\n`, " ".repeat(60 * MIB)), [413]],
  [
    "B3",
    "chunks over the limit",
    (p) => p.post(CHUNKED, `1100000\r\n${" ".repeat(17 * MIB)}`),
    [413],
  ],
  ["B3", "chunks without end", (p) => p.post(CHUNKED, '4\r\n{"wo\r\n'), [400], true],
];

const HEADERS: readonly Line[] = [
  ["B12", "a NUL in a header", (p) => p.get("/v1/overview", "x: a\0b\r\n"), [400]],
  ["B12", "a lone line feed", (p) => p.get("/v1/overview", "x: a\nx-evil: b\r\n"), [200, 400]],
  ["B12", "a lone return", (p) => p.get("/v1/overview", "x: a\rx-evil: b\r\n"), [400]],
  ["B12", "a folded header", (p) => p.get("/v1/overview", "x: a\r\n b\r\n"), [200, 400]],
  ["B12", "a space before the colon", (p) => p.get("/v1/overview", "x : a\r\n"), [400]],
  ["B12", "a header without a name", (p) => p.get("/v1/overview", ": a\r\n"), [400]],
  ["B12", "two hosts", (p) => p.get("/v1/overview", "host: evil.example\r\n"), [200, 400, 403]],
  ["B12", "two keys", (p) => p.get("/v1/overview", "authorization: Bearer tb_x\r\n"), [200, 401]],
  ["B12", "a strange id", (p) => p.get("/v1/overview", "x-request-id: a b\tc;d\r\n"), [200]],
  ["B12", "bytes above ASCII", (p) => p.get("/v1/overview", "x: \u00ff\u00fe\r\n"), [200, 400]],
  ["B9", "raw bytes in the path", (p) => p.get("/v1/runs/\u00ff\u00fe"), [400, 404]],
  ["B9", "percent signs alone", (p) => p.get("/v1/runs/%zz"), [400, 404]],
  ["B9", "an overlong slash", (p) => p.get(`/v1/runs/..%c0%af${p.runId}`), [400, 404]],
];

const ABSOLUTE = `GET http://evil.example/v1/overview HTTP/1.1\r\nhost: evil.example\r\n${CLOSE}\r\n`;
const many = (p: Parts) =>
  `${p.get("/health").replace(CLOSE, "").repeat(200)}${p.get("/v1/overview")}`;
const good = (p: Parts) => `${p.json}content-length: ${BODY.length}\r\n\r\n${BODY}`;

const CONFUSIONS: readonly Line[] = [
  ["B17", "an absolute address of another host", ABSOLUTE, [403]],
  ["B17", "a backslash in the path", (p) => p.get("/v1\\runs"), [200, 400, 404]],
  [
    "B17",
    "OPTIONS of everything",
    (p) => `OPTIONS * HTTP/1.1\r\n${p.host}${CLOSE}\r\n`,
    [400, 405],
  ],
  ["B17", "CONNECT", ({ host }) => `CONNECT example.com:443 HTTP/1.1\r\n${host}\r\n`, [400]],
  ["B17", "TRACE", ({ host }) => `TRACE /v1/overview HTTP/1.1\r\n${host}${CLOSE}\r\n`, [400, 405]],
  ["B17", "an upgrade", (p) => p.get("/v1/overview", "upgrade: websocket\r\n"), [200, 400]],
  ["B17", "an upgrade to HTTP/2", (p) => p.get("/v1/overview", "upgrade: h2c\r\n"), [200, 400]],
  ["B17", "an expectation", (p) => p.get("/v1/overview", "expect: miracles\r\n"), [200, 417]],
  ["B17", "HTTP/1.0", ({ host }) => `GET /v1/overview HTTP/1.0\r\n${host}\r\n`, [200]],
  ["B17", "HTTP/0.9", "GET /\r\n\r\n", [400]],
  ["B17", "HTTP/9.9", ({ host }) => `GET / HTTP/9.9\r\n${host}\r\n`, [400, 505]],
  ["B17", "200 requests at once", many, [200]],
  [
    "B17",
    "one in a body",
    (p) => p.post(`content-length: ${SMUGGLED.length}\r\n`, SMUGGLED),
    [400],
  ],
  ["B17", "an address of 100 KB", (p) => p.get(`/${LONG}`), [414, 431]],
  ["B17", "a head of 100 KB", (p) => p.get("/v1/overview", `x: ${LONG}\r\n`), [431]],
  ["B17", "10,000 headers", (p) => p.get("/v1/overview", "x: y\r\n".repeat(10_000)), [431]],
  ["B17", "1,900 headers", (p) => p.get("/v1/overview", "x: y\r\n".repeat(1900)), [200, 400, 431]],
];

/** Each of them makes a run. */
const GOOD: readonly Line[] = [
  ["B3", "chunks", (p) => p.post(CHUNKED, '8\r\n{"workfl\r\n8\r\now":"w"}\r\n0\r\n\r\n'), [200]],
  ["B17", "garbage behind a good request", (p) => `${good(p)}GARBAGE\r\n\r\n`, [400]],
];

/** Requests that no client library would send. The server gives each an answer, and up. */
export function rawCases(caller: RawCaller): RawCase[] {
  const host = `host: localhost\r\nauthorization: ${caller.authorization}\r\n`;
  const json = `POST /v1/runs HTTP/1.1\r\n${host}content-type: application/json\r\n`;
  const parts: Parts = {
    ...{ ...caller, host, json },
    get: (path, more = "") => `GET ${path} HTTP/1.1\r\n${host}${more}${CLOSE}\r\n`,
    post: (head, sent) => `${json}${CLOSE}${head}\r\n${sent}`,
  };
  const lines = [...GOOD, ...STRANGERS, ...LENGTHS, ...HEADERS, ...CONFUSIONS];
  return lines.map((line) => {
    const [row, title, given, right, ends = false] = line;
    const bytes = typeof given === "function" ? given(parts) : given;
    return { row, title, bytes, right, ends, writes: GOOD.includes(line) };
  });
}
