import { McpError } from "@modelcontextprotocol/sdk/types.js";
import { expect, test } from "vitest";
import { z } from "zod";
import { useDatabase } from "../../core/test/support/database.ts";
import { useAgent } from "./support.ts";

const db = useDatabase();
const agent = useAgent(() => ({ TIDEBASE_DATABASE_URL: db.url }));
const observer = useAgent(() => ({ TIDEBASE_DATABASE_URL: db.url }), { readOnly: true });
const NOBODY = "run_00000000-0000-7000-8000-000000000000";

test.each([
  [{ runId: NOBODY }, { code: "run_not_found", runId: NOBODY, retryable: false }],
  [{ runId: "7" }, { code: "input_invalid", message: expect.stringContaining("runId") }],
  [{}, { code: "input_invalid", message: expect.stringContaining("runId") }],
  [{ run_id: NOBODY }, { code: "input_invalid", fix: expect.stringContaining("mean runId?") }],
  [{ runId: NOBODY, includes: [] }, { fix: expect.stringContaining("mean include?") }],
  [{ runId: NOBODY, xyzzy: 1 }, { fix: "It takes: runId, include, detail." }],
  [{ runId: NOBODY, detail: "all" }, { message: expect.stringContaining("concise") }],
])("get_run of %j is an error with its code and a fix", async (input, expected) => {
  const error = await agent.refused("tidebase_get_run", input);
  expect(error).toMatchObject({ ...expected, fix: expect.any(String) });
});

test.each([
  ["tidebase_run", "tidebase_get_run"],
  ["list_runs", "tidebase_list_runs"],
  ["tidebase_list_event", "tidebase_list_events"],
])("there is no tool %s, but %s is named", async (name, meant) => {
  expect(await agent.refused(name)).toMatchObject({
    code: "tool_not_found",
    fix: `Did you mean ${meant}?`,
  });
});

test("a version that is not there says how to find those that are", async () => {
  const { runId } = await db.begun();
  expect(await agent.refused("tidebase_get_state", { runId, version: 3 })).toMatchObject({
    code: "version_not_found",
    fix: expect.stringContaining("tidebase_get_state"),
  });
});

test("a read-only server refuses to write even a tool it does not list", async () => {
  expect((await observer.call("tidebase_overview")).access).toBe("read_only");
  const error = await observer.refused("tidebase_recover_run", { runId: NOBODY });
  expect(error).toMatchObject({ code: "store_read_only", fix: expect.stringContaining("human") });
});

const WIDE = Object.fromEntries(Array.from({ length: 101 }, (_, n) => [`k${n}`, n]));

test.each<[method: string, params: object | undefined, said: string]>([
  ["tools/call", undefined, "params: "],
  ["tools/call", {}, "params.name: "],
  ["tools/call", { name: 7 }, "params.name: "],
  ["tools/call", { name: "tidebase_overview", arguments: 7 }, "params.arguments: "],
  ["tools/call", { name: "tidebase_overview", arguments: [] }, "params.arguments: "],
  ["tools/call", { name: "tidebase_overview", arguments: WIDE }, "more than 100 members"],
  ["tools/call", { name: "tidebase_overview", ...WIDE }, "more than 100 members"],
  ["tools/list", { cursor: 7 }, "params.cursor: "],
  ["resources/read", {}, "params.uri: "],
  ["resources/subscribe", { uri: null }, "params.uri: "],
  ["prompts/get", { name: "triage", arguments: { runId: 7 } }, "params.arguments.runId: "],
  ["completion/complete", { ref: {}, argument: {} }, "params.ref: "],
  ["initialize", { protocolVersion: 7 }, "params.protocolVersion: "],
])(
  "%s without fitting params is answered as invalid params, in our words (%#)",
  async (method, params, said) => {
    const call = agent.client.request({ method, params } as never, z.unknown());
    const error = await call.catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(McpError);
    expect(error).toMatchObject({
      code: -32_602,
      message: expect.stringContaining(`These are no params of ${method}: `),
      data: { code: "input_invalid", retryable: false },
    });
    expect(error).toHaveProperty("message", expect.stringContaining(said));
    expect(String(error)).not.toMatch(/[{[]/); // no dump of the validator
  },
);
