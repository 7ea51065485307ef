import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { backendMessages, frontendMessages, joined, type Message } from "../proxy/frames.ts";
import { type HttpRequest, httpRequests } from "../proxy/http-requests.ts";
import { followTransactions } from "../proxy/transactions.ts";

function message(type: string, content: Buffer | string): Buffer {
  const body = typeof content === "string" ? Buffer.from(content) : content;
  const length = Buffer.alloc(4);
  length.writeInt32BE(body.length + 4);
  return joined([Buffer.from(type, "latin1"), length, body]);
}

/** The stream in pieces that end at these places. */
function split(stream: Buffer, places: readonly number[]): Buffer[] {
  const ends = [...places.map((place) => place % (stream.length + 1)), stream.length];
  const sorted = ends.sort((a, b) => a - b);
  return sorted.map((end, n) => stream.subarray(sorted[n - 1] ?? 0, end));
}

const hex = (bytes: Buffer) => bytes.toString("hex");
const startup = message("", joined([Buffer.from([0, 3, 0, 0]), Buffer.from("user\0me\0\0")]));
const sslRequest = message("", Buffer.from([4, 210, 22, 47]));
const typed = fc.array(
  fc.record({
    type: fc.constantFrom("Q", "P", "B", "E", "S", "d"),
    body: fc.uint8Array().map((bytes) => Buffer.from(bytes)),
  }),
);
const places = fc.array(fc.nat());

describe("Postgres messages", () => {
  it("parse alike however the stream is split or coalesced", () => {
    fc.assert(
      fc.property(typed, places, (messages, cuts) => {
        const wire = messages.map(({ type, body }) => message(type, body));
        const seen: Message[] = [];
        const reader = frontendMessages((one) => seen.push(one));
        split(joined([sslRequest, startup, ...wire]), cuts).forEach(reader);
        expect(seen.map(({ type }) => type)).toEqual(["", "", ...messages.map(({ type }) => type)]);
        expect(seen.slice(2).map(({ bytes }) => hex(bytes))).toEqual(wire.map(hex));
        expect(seen.slice(2).map(({ body }) => hex(body))).toEqual(
          messages.map(({ body }) => hex(body)),
        );
      }),
    );
  });

  it("begin with one byte where encryption was asked for, and are refused where they are no messages", () => {
    const seen: string[] = [];
    let isAsked = true;
    const reader = backendMessages(
      ({ type, bytes }) => {
        isAsked = false;
        seen.push(type === "" ? bytes.toString() : type);
      },
      () => isAsked,
    );
    reader(joined([Buffer.from("N"), message("R", "\0\0\0\0"), message("Z", "I")]));
    expect(seen).toEqual(["N", "R", "Z"]);
    expect(() => reader(Buffer.from("HTTP/1.1 200 OK"))).toThrow(RangeError);
  });
});

describe("Requests that commit", () => {
  const query = (text: string): [string, string][] => [["Q", `${text}\0`]];
  const extended = (text: string): [string, string][] => [
    ["P", `\0${text}\0\0\0`],
    ["B", "\0\0\0\0\0\0\0\0"],
    ["E", "\0\0\0\0\0"],
    ["S", ""],
  ];

  /** What each request of the conversation says of itself, Postgres answering with this status. */
  function commits(conversation: readonly [[string, string][], string][]): boolean[] {
    const transactions = followTransactions();
    const seen: boolean[] = [];
    const told = frontendMessages((one) => {
      const request = transactions.asked(one);
      if (request !== undefined) seen.push(request.commits);
    });
    const heard = backendMessages((one) => void transactions.answered(one));
    told(startup);
    heard(message("Z", "I"));
    for (const [asked, status] of conversation) {
      for (const [type, body] of asked) told(message(type, body));
      heard(message("Z", status));
    }
    return seen;
  }

  it("are those outside of a transaction, and its COMMIT", () => {
    for (const ask of [query, extended]) {
      const conversation: [[string, string][], string][] = [
        [ask("/* runs.begin */ with a as (select 1) insert into t select 1"), "I"],
        [ask("begin"), "T"],
        [ask("insert into t values (1)"), "T"],
        [ask("rollback to savepoint a"), "T"],
        [ask("commit"), "I"],
        [ask("-- note\n  START TRANSACTION"), "T"],
        [ask("rollback"), "I"],
        [ask("begin"), "T"],
        [ask("select 1/0"), "E"],
        [ask("commit"), "I"],
        [ask("update t set n = 1"), "I"],
      ];
      expect(commits(conversation)).toEqual([
        true,
        false,
        false,
        false,
        true,
        false,
        false,
        false,
        false,
        false,
        true,
      ]);
    }
  });

  it("are several in one query when its transaction ends within it", () => {
    const texts = [
      "begin; insert into t values (1); commit",
      "begin; set local a = 'b'",
      "end; begin",
    ];
    const statuses = ["I", "T", "T"];
    expect(commits(texts.map((text, n) => [query(text), statuses[n] ?? "I"]))).toEqual([
      true,
      false,
      true,
    ]);
  });
});

describe("HTTP requests", () => {
  const words = fc.constantFrom("\r\n", "0", "GET /x HTTP/1.1\r\nHost: b\r\n\r\n", "ä", "a: b");
  const body = fc.array(words, { maxLength: 6 }).map((some) => some.join(""));
  const request = fc.record({
    method: fc.constantFrom("GET", "POST", "PUT"),
    body,
    isChunked: fc.constantFrom(true, false),
  });

  it("parse alike however the stream is split, with lengths, chunks, trailers or no body", () => {
    fc.assert(
      fc.property(fc.array(request, { maxLength: 5 }), places, (requests, cuts) => {
        const wire = requests.map(({ method, body, isChunked }, n) => {
          const bytes = Buffer.from(body);
          const head = `${method} /${n} HTTP/1.1\r\nHost: a\r\n`;
          if (!isChunked) return `${head}Content-Length: ${bytes.length}\r\n\r\n${body}`;
          const half = Math.floor(bytes.length / 2);
          const chunks = [bytes.subarray(0, half), bytes.subarray(half)].filter(
            (one) => one.length > 0,
          );
          const lines = chunks.map(
            (one) => `${one.length.toString(16)};a=b\r\n${one.toString("latin1")}\r\n`,
          );
          return Buffer.from(
            `${head}Transfer-Encoding: chunked\r\n\r\n${lines.join("")}0\r\nA: b\r\n\r\n`,
            "latin1",
          );
        });
        const seen: HttpRequest[] = [];
        const reader = httpRequests((one) => seen.push(one));
        split(joined(wire.map((one) => Buffer.from(one as string))), cuts).forEach(reader);
        expect(seen).toEqual(requests.map(({ method }, n) => ({ method, path: `/${n}` })));
      }),
    );
  });
});
