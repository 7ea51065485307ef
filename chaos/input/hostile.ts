import fc from "fast-check";

/** A word that must never be seen in a log: whatever is sent carries it somewhere. */
export const ECHO_MARK = "zq-echo-mark";

const LINES = [
  `${ECHO_MARK}\r\nx-evil: 1`,
  `${ECHO_MARK}\nid: 99\nevent: forged\ndata: {}\n\n`,
  `${ECHO_MARK}\u001b[2J\u001b[31mred\u0007\b`,
  `${ECHO_MARK}\u202eevil\u2066\u200b\ufeff`,
  `${ECHO_MARK}","level":60,"msg":"forged`,
];

/** What Postgres keeps in no text of its own, or a line ends at. */
export const UNSTORABLE = ["\u0000", "a\u0000b", "\ud800", "\udfff x", "\u2028\u2029\u0085"];

const LOOKALIKES = [
  ...[
    "",
    " ",
    "trailing ",
    "\u{1f600}".repeat(60),
    "e\u0301",
    "\u0440\u0430\u0443",
    "\u0663",
    "\u2170",
  ],
  ...["true", "null", "undefined", "NaN", "Infinity", "-0", "0x10", "1e400", "9".repeat(400)],
  ...["[object Object]", "[]", "{}", '"', "\\", "x".repeat(201), "x".repeat(4097)],
];

const NAMES_OF_OBJECTS = ["__proto__", "constructor", "prototype", "toString", "hasOwnProperty"];

const INJECTIONS = [
  ...["'; drop table tidebase.runs; --", "' or 1=1 --", "$1", "$run_id", "%", "_", "*", "%s%n"],
  // biome-ignore lint/suspicious/noTemplateCurlyInString: it is sent as it stands
  ...["${jndi:ldap://127.0.0.1/}", "{{7*7}}", "<script>alert(1)</script>", "javascript:alert(1)"],
  ...["../../etc/passwd", "..", ".", "a/b", "a\\b", "%2e%2e%2f", "%00", "file:///etc/passwd"],
  ...["(a+)+$", `${"a".repeat(50)}!`, "[".repeat(300), "run.*".repeat(50), ",".repeat(1000)],
];

const MOMENTS = [
  ...["2026-02-30T00:00:00Z", "0000-01-01T00:00:00Z", "+275760-09-13T00:00:00.001Z"],
  ...["2026-06-30T23:59:60Z", "2026-03-29T02:30:00", "9999-12-31T23:59:59.999999999+23:59"],
  ...["1969-12-31", "24h", "9999999999d", "Europe/Nowhere", "../UTC"],
];

const CRONS = [
  "0 0 31 2 *",
  "*/0 * * * *",
  "* * * * * * *",
  "@reboot",
  "0 0 L * *",
  "\u0661 * * * *",
];

const IDS = [
  ...[
    "run_00000000-0000-7000-8000-000000000000",
    "run_",
    "RUN_00000000-0000-7000-8000-000000000000",
  ],
  ...["gate_00000000-0000-7000-8000-000000000000", "grant_x", "0", "-1"],
];

/** Texts that have broken servers before, or lie in a log, a header, an event stream or a statement. */
export const HOSTILE_TEXTS: readonly string[] = [
  ...LINES,
  ...UNSTORABLE,
  ...LOOKALIKES,
  ...NAMES_OF_OBJECTS,
  ...INJECTIONS,
  ...MOMENTS,
  ...CRONS,
  ...IDS,
];

const NUMBERS = [
  ...[0, -0, -1, 0.5, 1.5, 2 ** 31 - 1, 2 ** 31, 2 ** 32, 2 ** 53 - 1, 2 ** 53, -(2 ** 53)],
  ...[2 ** 63, 1e300, Number.MIN_VALUE, 1e-7],
];

const VALUES: readonly unknown[] = [
  ...[null, true, false, [], {}, [[]], [null], [{}]],
  JSON.parse('{"__proto__":{"polluted":true},"constructor":{"prototype":{"polluted":true}}}'),
  { toString: 1, valueOf: null, toJSON: "x", length: -1 },
  nested(65),
  nested(2100),
];

/** So many lists, one in the other. */
export function nested(depth: number): unknown {
  let value: unknown = [];
  for (let level = 1; level < depth; level++) value = [value];
  return value;
}

/** One of the hostile values, or any JSON value at all. */
export const hostile: fc.Arbitrary<unknown> = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom<unknown>(...HOSTILE_TEXTS) },
  { weight: 2, arbitrary: fc.constantFrom<unknown>(...NUMBERS) },
  { weight: 2, arbitrary: fc.constantFrom<unknown>(...VALUES) },
  { weight: 2, arbitrary: fc.jsonValue({ maxDepth: 3 }) },
  { weight: 1, arbitrary: fc.string({ unit: "binary" }) },
);

/** Bodies that are no JSON object in UTF-8, as text. */
export const NO_OBJECTS: readonly string[] = [
  ...["{", "[]", "null", '"x"', "1", "true", "[{}]", "{} x", '{"a":1}{', "{'a':1}", "{a:1}"],
  ...['{"a":}', '{"a":1,}', '{"a":NaN}', '{"a":Infinity}', '{"a":01}', '{"a":"\n"}', '{"a":"\\x"}'],
  ...["\ufeff{}", "\u0000", "undefined", `{"a":"${ECHO_MARK}`, "[".repeat(1000)],
];
