import { ERRORS, operations } from "@tidebase/core";
import { expect, test } from "vitest";
import { newGrant, useDatabase } from "../../core/test/support/database.ts";
import { createApp } from "../src/index.ts";
import { json, poster, verdict } from "./support.ts";

const db = useDatabase();
const seen: unknown[] = [];
const app = createApp(db.core, { onInternal: (_, error) => seen.push(error) });
const post = poster(app);
const UNKNOWN = "00000000-0000-7000-8000-000000000000";

/** A route's path with every parameter filled in. */
function filled(path: string, value: string): string {
  return path.replace(/:(\w+)/g, (_, name: string) =>
    name.endsWith("Id") && value === UNKNOWN ? `${name.slice(0, -2)}_${UNKNOWN}` : value,
  );
}

test.each([
  ["nothing but a brace", "{"],
  ["a list", "[]"],
  ["null", "null"],
  ["a text", '"text"'],
  ["a number", "1"],
  ["NaN", '{"workflow": NaN}'],
  ["a trailing comma", '{"workflow":"w",}'],
  ["two documents", "{}{}"],
])("a body that is %s is json_malformed", async (_, body) => {
  expect(await verdict(await post("/v1/runs", body))).toEqual({
    status: 400,
    code: "json_malformed",
  });
});

test("bytes that are no UTF-8 are json_malformed", async () => {
  for (const bytes of [
    [0x7b, 0x22, 0xff, 0x22, 0x7d],
    [0xc0, 0xaf],
    [0xff, 0xfe, 0x7b, 0x00],
  ]) {
    const headers = { "content-type": "application/json" };
    const body = Uint8Array.from(bytes);
    const answer = await app.request("/v1/runs", { method: "POST", headers, body });
    expect(await verdict(answer)).toEqual({ status: 400, code: "json_malformed" });
  }
});

test.each([
  "text/plain",
  "application/xml",
  "multipart/form-data; boundary=x",
  "application/x-www-form-urlencoded",
  "application/json; charset=utf-16",
  "application/jsonp",
])("the content type %s is refused", async (type) => {
  const answer = await post("/v1/runs", { workflow: "w" }, { "content-type": type });
  expect(await verdict(answer)).toEqual({ status: 415, code: "content_type_unsupported" });
});

test("a body without a content type is refused, no body needs none, compressed ones are refused", async () => {
  const body = new TextEncoder().encode('{"workflow":"w"}');
  const naked = await app.request("/v1/runs", { method: "POST", body });
  expect(await verdict(naked)).toMatchObject({ status: 415 });
  const empty = await app.request("/v1/runs", { method: "POST" });
  expect(await verdict(empty)).toEqual({ status: 400, code: "input_invalid" });
  const packed = await post("/v1/runs", "{}", { "content-encoding": "gzip" });
  expect(await verdict(packed)).toMatchObject({ status: 415 });
  const spelled = { "content-type": 'Application/JSON; charset="UTF-8"' };
  expect((await post("/v1/runs", { workflow: "w" }, spelled)).status).toBe(200);
});

test("a body over the limit is refused with the limit", async () => {
  const small = createApp(db.core, { bodyLimitBytes: 100 });
  const answer = await poster(small)("/v1/runs", { workflow: "w", input: "x".repeat(100) });
  expect(await json(answer)).toMatchObject({
    status: 413,
    code: "body_too_large",
    limitBytes: 100,
  });
});

test.each([
  '{"workflow":"w","input":1e400}',
  '{"workflow":"w","input":[{"deep":-1e999}]}',
  `{"workflow":"w","input":${"9".repeat(310)}}`,
  `{"workflow":"w","input":${"9".repeat(250)}e99}`,
])("a number beyond a double is refused, not turned into Infinity or null (%#)", async (body) => {
  expect(await verdict(await post("/v1/runs", body))).toEqual({
    status: 400,
    code: "number_out_of_range",
  });
});

test("text that only looks like a huge number is kept", async () => {
  const input = { text: `1e400 ${"9".repeat(400)}`, small: 1e-300 };
  expect((await post("/v1/runs", { workflow: "w", input })).status).toBe(200);
});

test.each([
  ["a member nobody declared", { workflow: "w", actor: "mallory" }],
  ["no workflow", {}],
  ["an empty workflow", { workflow: "" }],
  ["a workflow of 1 MB", { workflow: "w".repeat(1_000_000) }],
  ["a NUL in a name", { workflow: "nul \0" }],
  ["a lone surrogate in a name", { workflow: "half \ud800" }],
  ["an id of another noun", { workflow: "w", runId: `grant_${UNKNOWN}` }],
  ["an upper-case id", { workflow: "w", runId: `run_${UNKNOWN.replaceAll("0", "A")}` }],
  ["tags that are no list", { workflow: "w", tags: "one" }],
  ["21 tags", { workflow: "w", tags: Array.from({ length: 21 }, String) }],
])("%s is input_invalid", async (_, body) => {
  expect(await verdict(await post("/v1/runs", body))).toEqual({
    status: 400,
    code: "input_invalid",
  });
});

test("a name that no URL carries is input_invalid", async () => {
  for (const name of [".", ".."]) {
    const items = [{ workflow: "w", queue: name }];
    expect((await post("/v1/runs/enqueue", { items })).status).toBe(400);
    const schedule = { name, cron: "@daily", workflow: "w" };
    expect((await post("/v1/schedules", schedule)).status).toBe(400);
  }
});

test("a __proto__ member breaks nothing and reaches no prototype", async () => {
  const answer = await post("/v1/runs", '{"workflow":"w","__proto__":{"polluted":true}}');
  expect(answer.status).toBeLessThan(500);
  expect(Reflect.get({}, "polluted")).toBeUndefined();
  for (const query of ["__proto__=1", "constructor=1", "toString=1", "__proto__[a]=1"])
    expect((await app.request(`/v1/runs?${query}`)).status, query).toBe(400);
});

test.each([
  "limit=0",
  "limit=-1",
  "limit=1000000000",
  "limit=abc",
  "limit=",
  "limit=1.5",
  "limit=0x10",
  "limit=1e1",
  "limit=%201",
  "limit=9223372036854775808",
  "limit=1&limit=2",
  "status=nothing",
  "since=yesterday",
  "since=2026-02-30T00:00:00Z",
  "tag=%00",
  "nothing=1",
])("the list's parameter %s is input_invalid", async (query) => {
  expect(await verdict(await app.request(`/v1/runs?${query}`))).toEqual({
    status: 400,
    code: "input_invalid",
  });
});

test("a parameter that may be repeated is a list, given once or several times", async () => {
  await post("/v1/runs", { workflow: "repeated" });
  for (const query of ["status=pending", "status=pending&status=running"]) {
    const page = await json(app.request(`/v1/runs?workflow=repeated&${query}`));
    expect(page, query).toMatchObject({ runs: [{ status: "pending" }] });
  }
});

test("a cursor of another list, a cut one or a foreign one is cursor_invalid", async () => {
  for (const n of [1, 2]) await post("/v1/runs", { workflow: "paged", input: n });
  const first = await json(app.request("/v1/runs?workflow=paged&limit=1"));
  const cursor = String(first["nextCursor"]);
  const again = await app.request(`/v1/runs?workflow=paged&limit=1&cursor=${cursor}`);
  expect(await json(again)).toMatchObject({ runs: [{ workflow: "paged" }] });
  const forged = Buffer.from('["a","b","c"]').toString("base64url");
  for (const bad of [
    `workflow=other&cursor=${cursor}`,
    `workflow=paged&cursor=${cursor.slice(4)}`,
    `workflow=paged&cursor=${forged}`,
  ])
    expect(await verdict(await app.request(`/v1/runs?${bad}`)), bad).toEqual({
      status: 400,
      code: "cursor_invalid",
    });
});

test("integers beyond their range are the caller's to correct, in a body and in a path", async () => {
  const { runId } = await json(await post("/v1/runs", { workflow: "w" }));
  for (const epoch of [2 ** 63, -1, 1.5, "1", true, null]) {
    const answer = await post(`/v1/runs/${String(runId)}/release`, { epoch, grantId: newGrant() });
    expect((await verdict(answer)).status, String(epoch)).toBe(400);
  }
  for (const after of ["9223372036854775808", "-1", "99999999999999999999999"])
    expect((await app.request(`/v1/runs/${String(runId)}/events?afterSeq=${after}`)).status).toBe(
      400,
    );
});

test("every route answers an unknown, a malformed and a hostile id with a 4xx problem", async () => {
  for (const { route } of operations) {
    const [method = "", path = ""] = route.split(" ");
    for (const value of [
      UNKNOWN,
      "x",
      "%00",
      "%zz",
      "%ff",
      "..%2f..",
      "a%2Fb",
      "'; drop table runs; --",
      "x".repeat(5000),
    ]) {
      const body =
        method === "POST" ? { body: "{}", headers: { "content-type": "application/json" } } : {};
      const answer = await app.request(filled(path, value), { method, ...body });
      expect(answer.status, `${route} ${value.slice(0, 30)}`).toBeLessThan(500);
    }
  }
});

test("every list of the registry refuses hostile values in every parameter without failing", async () => {
  const values = [
    "",
    "\0",
    "-1",
    "1e400",
    "9223372036854775808",
    "'",
    "a".repeat(3000),
    "__proto__",
    "null",
    "{}",
  ];
  for (const { route, input } of operations.filter((one) => one.route.startsWith("GET ")))
    for (const name of Object.keys(input.shape))
      for (const value of values) {
        const path = filled(route.slice(4), UNKNOWN);
        const answer = await app.request(`${path}?${name}=${encodeURIComponent(value)}`);
        expect(
          answer.status,
          `${route} ${name}=${JSON.stringify(value).slice(0, 30)}`,
        ).toBeLessThan(500);
      }
});

test("a wrong method is told from a wrong path, and what is allowed is named", async () => {
  const answer = await app.request("/v1/runs", { method: "DELETE" });
  expect(answer.headers.get("allow")).toBe("GET, HEAD, POST");
  expect(await verdict(answer)).toEqual({ status: 405, code: "method_not_allowed" });
  for (const path of ["/v1/run", "/v1/runs/", "//v1/runs", "/v1/runs/a/b/c", "/V1/runs"])
    expect(await verdict(await app.request(path)), path).toEqual({
      status: 404,
      code: "route_not_found",
    });
  const override = { "x-http-method-override": "DELETE" };
  expect((await app.request("/v1/overview", { headers: override })).status).toBe(200);
});

test("HEAD is GET without a body", async () => {
  const answer = await app.request("/v1/overview", { method: "HEAD" });
  expect([answer.status, await answer.text()]).toEqual([200, ""]);
  expect((await app.request("/v1/nothing", { method: "HEAD" })).status).toBe(404);
});

test("a payload nested 200,000 deep is refused, in whatever member it stands", async () => {
  const deep = `${"[".repeat(200_000)}${"]".repeat(200_000)}`;
  for (const member of ["input", "metadata", "tags", "nothing"]) {
    const answer = await post("/v1/runs", `{"workflow":"w","${member}":${deep}}`);
    expect(await verdict(answer), member).toEqual({ status: 400, code: "input_invalid" });
  }
});

test("300,000 members are refused before they are read, and no refusal repeats them", async () => {
  const members = Array.from({ length: 300_000 }, (_, n) => `"k${n}":${n}`).join();
  const outside = await json(post("/v1/runs", `{"workflow":"w",${members}}`));
  expect(outside).toMatchObject({
    code: "input_invalid",
    issues: [{ path: "", message: "has more than 100 members" }],
  });
  const inside = await post("/v1/runs/enqueue", `{"items":[{"workflow":"w",${members}}]}`);
  const text = await inside.text();
  expect(text).toContain("and 299995 more");
  expect([inside.status, text.length < 2000]).toEqual([400, true]);
});

test("no input has more members than a body may", () => {
  for (const { name, input } of operations)
    expect(Object.keys(input.shape).length, name).toBeLessThan(100);
  const many = Array.from({ length: 1000 }, (_, n) => [`key ${n}`, { a: [n, n], b: "," }]);
  return expect(
    verdict(post("/v1/runs", { workflow: "w", input: Object.fromEntries(many) })),
  ).resolves.toEqual({ status: 200, code: undefined });
});

test("a caller's request id comes back when it is harmless, and is replaced when not", async () => {
  const kept = await app.request("/v1/overview", { headers: { "x-request-id": "my-id_1" } });
  expect(kept.headers.get("x-request-id")).toBe("my-id_1");
  for (const id of ["a b", "x".repeat(65), "<script>", ""]) {
    const answer = await app.request("/v1/nothing", { headers: { "x-request-id": id } });
    const made = answer.headers.get("x-request-id");
    expect(made).toMatch(/^req_[0-9a-f-]{36}$/);
    expect((await json(answer))["requestId"]).toBe(made);
  }
});

test("each error code explains itself, and others are no path", async () => {
  for (const [code, { detail }] of Object.entries(ERRORS))
    expect(await json(app.request(`/v1/errors/${code}`))).toMatchObject({ code, detail });
  for (const code of ["nothing", "__proto__", "toString"])
    expect((await app.request(`/v1/errors/${code}`)).status).toBe(404);
});

test("no request in this file was answered with a failure of ours, or logged as one", () => {
  expect(seen).toEqual([]);
});
