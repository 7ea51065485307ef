import { gzipSync } from "node:zlib";
import { CREATE, type FixedRequest, get, type Held, post, saying } from "./fixed-request.ts";
import { ECHO_MARK, NO_OBJECTS, nested } from "./hostile.ts";

const MIB = 1_048_576;
const COMPLETE = "/v1/steps/complete";
const FAIL = "/v1/steps/fail";
const JSON_TYPE = { "content-type": "application/json" };

const NO_UTF8: readonly (readonly [string, readonly number[]])[] = [
  ["a lone continuation byte", [0x80]],
  ["an overlong slash", [0xc0, 0xaf]],
  ["an overlong NUL", [0xc0, 0x80]],
  ["an encoded surrogate", [0xed, 0xa0, 0x80]],
  ["beyond Unicode", [0xf4, 0x90, 0x80, 0x80]],
  ["half a character", [0xe2, 0x82]],
];

const OTHER_TYPES = [
  ...["text/plain", "application/xml", "multipart/form-data; boundary=x", "text/json", "*/*"],
  ...["application/json; charset=utf-16", "application/json;charset=latin1", "application/jsonp"],
  ...["application/x-www-form-urlencoded", "application/json, text/plain"],
];

/** What is no JSON object in UTF-8, or not said to be one. */
export function noObjects(): FixedRequest[] {
  const around = (middle: readonly number[]) =>
    Uint8Array.from([...Buffer.from('{"workflow":"'), ...middle, ...Buffer.from('"}')]);
  const body = { workflow: "w" };
  const coded = ["gzip", "deflate", "br", "gzip, identity"];
  const typed = (type: string) => ({ "content-type": type });
  return [
    ...NO_OBJECTS.map((text) => post("B1", JSON.stringify(text.slice(0, 40)), CREATE, text, [400])),
    post("B1", "nothing at all", CREATE, "", [400]),
    post("B1", "half an object", CREATE, `{"workflow":"${ECHO_MARK}`, [400]),
    ...NO_UTF8.map(([title, middle]) => post("B9", title, CREATE, around(middle), [400])),
    post("B9", "UTF-16", CREATE, Buffer.from('\ufeff{"workflow":"w"}', "utf16le"), [400]),
    post("B18", "two workflows", CREATE, '{"workflow":"first","workflow":"last"}', [200]),
    ...OTHER_TYPES.map((type) => post("B2", type, CREATE, body, [415], typed(type))),
    post("B2", "no type", CREATE, body, [415], {}),
    ...coded.map((coding) =>
      post("B3", coding, CREATE, body, [415], { ...JSON_TYPE, "content-encoding": coding }),
    ),
    post("B3", "a body that is gzip", CREATE, gzipSync(JSON.stringify(body)), [415], {
      ...{ ...JSON_TYPE, "content-encoding": "gzip" },
    }),
  ];
}

/** More than anybody takes: bytes, levels, members, elements. */
export function tooMuch(held: Held): FixedRequest[] {
  const step = { ...held, name: "big", contract: { sideEffects: ["mail"] } };
  const whole = JSON.stringify({ items: [{ ...step, output: "x".repeat(2 * MIB) }] });
  const failed = { ...step, error: {}, message: "m", reason: "output_too_large" };
  const deep = (depth: number) =>
    `{"workflow":"w","input":${"[".repeat(depth)}${"]".repeat(depth)}}`;
  const run = (more: object) => ({ workflow: "w", ...more });
  return [
    post("B3", "a byte over the limit", CREATE, " ".repeat(16 * MIB + 1), [413]),
    post("B3", "a payload over its limit", CREATE, run({ input: "x".repeat(MIB) }), [413]),
    saying("output_too_large", post("B3", "an output over its limit", COMPLETE, whole, [200])),
    // What a worker says then: the effect has happened, so the step waits for a review (model.md §3).
    saying("manual_review", post("B3", "its failure", FAIL, { items: [failed] }, [200])),
    ...[65, 1000, 1990].map((n) => post("B4", `depth ${n}`, CREATE, deep(n), [200])),
    ...[2500, 100_000, 7_000_000].map((n) => post("B4", `depth ${n}`, CREATE, deep(n), [400])),
    post("B4", "depth of a value", CREATE, run({ metadata: { a: nested(2100) } }), [400]),
    post("B4", "1,001 tags", CREATE, run({ tags: Array(1001).fill("t") }), [400]),
    ...tooMany(held.runId),
  ];
}

function tooMany(runId: string): FixedRequest[] {
  const members = Object.fromEntries(Array.from({ length: 300_000 }, (_, n) => [`k${n}`, n]));
  const numbers = `{"workflow":"w","input":[${"0,".repeat(1e6)}0]}`;
  const items = `{"items":[${"{},".repeat(1e6)}{}]}`;
  const query = "status=failed&".repeat(1000);
  return [
    post("B4", "300,000 members", CREATE, { workflow: "w", input: members }, [413]),
    post("B4", "300,000 members at the top", CREATE, { ...members, workflow: "w" }, [400]),
    post("B4", "a million elements", CREATE, numbers, [413]),
    post("B4", "a million items", "/v1/runs/enqueue", items, [400]),
    get("B4", "1,000 values of one parameter", `/v1/runs?${query}`, [200, 400]),
    get("B4", "unknown parameters", `/v1/runs/${runId}?__proto__=1&x[y]=2`, [400]),
  ];
}
