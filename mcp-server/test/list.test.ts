import { expect, test } from "vitest";
import { INSTRUCTIONS } from "../src/instructions.ts";
import { useAgent } from "./support.ts";

const { client } = useAgent(() => ({}));
const readOnly = useAgent(() => ({}), { readOnly: true });

const NAMES = [
  "tidebase_overview",
  "tidebase_list_runs",
  "tidebase_get_run",
  "tidebase_list_events",
  "tidebase_get_state",
  "tidebase_wait_for_run",
  "tidebase_list_gates",
  "tidebase_get_gate",
  "tidebase_resolve_gate",
  "tidebase_recover_run",
];
const WRITES = ["tidebase_resolve_gate", "tidebase_recover_run"];

test("the list has one order, and leaves out what writes when nothing may be written", async () => {
  const names = (await client.listTools()).tools.map(({ name }) => name);
  expect(names).toEqual(NAMES);
  const without = (await readOnly.client.listTools()).tools.map(({ name }) => name);
  expect(without).toEqual(NAMES.filter((name) => !WRITES.includes(name)));
});

test("the list and the instructions fit an agent's attention", async () => {
  const { tools } = await client.listTools();
  expect(client.getInstructions()).toBe(INSTRUCTIONS);
  expect(INSTRUCTIONS.length).toBeLessThanOrEqual(1500);
  for (const { description = "" } of tools) expect(description.length).toBeLessThanOrEqual(350);
  const read = tools.map(({ name, description, inputSchema }) => [name, description, inputSchema]);
  expect(Buffer.byteLength(JSON.stringify(read)) / 4).toBeLessThan(1900);
});

test("every tool says by all four hints what it may do", async () => {
  for (const { name, annotations } of (await client.listTools()).tools) {
    expect(Object.values(annotations ?? {}), name).toHaveLength(4);
    expect(annotations?.readOnlyHint, name).toBe(!WRITES.includes(name));
    expect(annotations?.destructiveHint, name).toBe(WRITES.includes(name));
  }
});

test("the tool that needs the human says so to clients that know it", async () => {
  for (const { name, _meta } of (await client.listTools()).tools)
    expect(_meta, name).toEqual(
      name === "tidebase_resolve_gate" ? { "anthropic/requiresUserInteraction": true } : undefined,
    );
});

test("no schema combines at its root, admits anything, or is a union with null", async () => {
  for (const { name, inputSchema, outputSchema } of (await client.listTools()).tools) {
    for (const schema of [inputSchema, outputSchema as object]) {
      for (const combinator of ["anyOf", "oneOf", "allOf", "$ref", "$schema"])
        expect(schema, name).not.toHaveProperty(combinator);
      expect(schema, name).toHaveProperty("type", "object");
      for (const [path, part] of schemasIn(schema, name)) {
        expect(part, path).toHaveProperty("type");
        expect(Reflect.get(part, "type"), path).toBeTypeOf("string");
        expect(part, path).not.toHaveProperty("anyOf");
      }
    }
  }
});

/** Every schema below this one, with its path. */
function schemasIn(schema: object, path: string): [string, object][] {
  const { properties = {}, items } = schema as { properties?: object; items?: object };
  const parts: [string, object][] = Object.entries(properties).map(([name, part]) => [
    `${path}.${name}`,
    part as object,
  ]);
  if (items !== undefined) parts.push([`${path}[]`, items]);
  return parts.flatMap(([at, part]) => [[at, part], ...schemasIn(part, at)]);
}
