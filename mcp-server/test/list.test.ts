import { ListToolsResultSchema, type Tool } from "@modelcontextprotocol/sdk/types.js";
import { countTokens } from "gpt-tokenizer";
import { expect, test } from "vitest";
import { INSTRUCTIONS } from "../src/instructions.ts";
import { TOOLSETS } from "../src/tool.ts";
import { type Agent, useAgent } from "./support.ts";

const usual = useAgent(() => ({}));
const readOnly = useAgent(() => ({}), { readOnly: true, toolsets: TOOLSETS });
const all = useAgent(() => ({}), { toolsets: TOOLSETS });
const some = useAgent(() => ({}), { toolsets: ["start", "gates"] });

const NAMES = [
  "tidebase_overview",
  "tidebase_list_runs",
  "tidebase_get_run",
  "tidebase_list_events",
  "tidebase_get_state",
  "tidebase_wait_for_run",
  "tidebase_list_gates",
  "tidebase_get_gate",
  "tidebase_list_queues",
  "tidebase_list_schedules",
  "tidebase_resolve_gate",
  "tidebase_recover_run",
  "tidebase_review_step",
  "tidebase_fork_run",
  "tidebase_cancel_run",
  "tidebase_manage_queue",
  "tidebase_manage_schedule",
];
const STARTS = "tidebase_enqueue_run";
const DESTROYS = ["resolve_gate", "recover_run", "review_step", "cancel_run"].map(nameOf);
const CHANGES = ["fork_run", "manage_queue", "manage_schedule"].map(nameOf);
const WRITES = [...DESTROYS, ...CHANGES, STARTS];

function nameOf(verb: string): string {
  return `tidebase_${verb}`;
}

test("the list has one order, and leaves out what writes when nothing may be written", async () => {
  expect(await namesOf(usual)).toEqual(NAMES);
  expect(await namesOf(readOnly)).toEqual(NAMES.filter((name) => !WRITES.includes(name)));
});

test("sets of tools are offered alone, in the one order, and starting runs only when asked for", async () => {
  expect(await namesOf(all)).toEqual([...NAMES, STARTS]);
  const gates = ["tidebase_list_gates", "tidebase_get_gate", "tidebase_resolve_gate"];
  expect(await namesOf(some)).toEqual([...gates, STARTS]);
  expect(await all.refused("tidebase_enqueue", {})).toMatchObject({
    fix: `Did you mean ${STARTS}?`,
  });
});

async function toolsOf({ client }: Agent): Promise<Tool[]> {
  return (await client.request({ method: "tools/list" }, ListToolsResultSchema)).tools;
}

async function namesOf(agent: Agent): Promise<string[]> {
  return (await toolsOf(agent)).map(({ name }) => name);
}

test("the list and the instructions fit an agent's attention", async () => {
  const tools = await toolsOf(all);
  expect(all.client.getInstructions()).toBe(INSTRUCTIONS);
  expect(INSTRUCTIONS.length).toBeLessThanOrEqual(1500);
  for (const { description = "" } of tools) expect(description.length).toBeLessThanOrEqual(350);
});

/** Tokens of what clients load of a tool before anybody calls it: without and with the schema of its answers. */
function costOf({ name, description, inputSchema, outputSchema }: Tool): [number, number] {
  const called = countTokens(JSON.stringify({ name, description, inputSchema }));
  return [called, called + countTokens(JSON.stringify(outputSchema))];
}

test("the definitions of all tools cost 2,800 tokens at most, and 6,000 with their answers' schemas", async () => {
  const rows = (await toolsOf(all)).map((tool) => [tool.name, ...costOf(tool)] as const);
  const [called, whole] = [1, 2].map((column) =>
    rows.reduce((sum, row) => sum + Number(row[column]), 0),
  );
  const table = [...rows, ["all", called, whole]].map(([name, ...costs]) =>
    [String(name).padEnd(26), ...costs.map((cost) => String(cost).padStart(6))].join(""),
  );
  process.stdout.write(`${["Tokens of the definitions:", ...table].join("\n")}\n`);
  expect(called).toBeLessThanOrEqual(2800);
  expect(whole).toBeLessThanOrEqual(6000);
});

test("every tool says by all four hints what it may do", async () => {
  for (const { name, annotations } of await toolsOf(all)) {
    expect(Object.values(annotations ?? {}), name).toHaveLength(4);
    expect(annotations?.readOnlyHint, name).toBe(!WRITES.includes(name));
    expect(annotations?.destructiveHint, name).toBe(DESTROYS.includes(name));
  }
});

test("the tool that needs the human says so to clients that know it", async () => {
  for (const { name, _meta } of await toolsOf(all))
    expect(_meta, name).toEqual(
      name === "tidebase_resolve_gate" ? { "anthropic/requiresUserInteraction": true } : undefined,
    );
});

test("no schema combines at its root, admits anything, or is a union with null", async () => {
  for (const { name, inputSchema, outputSchema } of await toolsOf(all)) {
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
