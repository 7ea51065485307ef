import { readFile } from "node:fs/promises";
import { operations } from "@tidebase/core";
import { expect, test } from "vitest";
import { useDatabase } from "../../core/test/support/database.ts";
import { createApp } from "../src/index.ts";
import { json } from "./support.ts";

const db = useDatabase();
const app = createApp(db.core);

interface Described {
  paths: Record<
    string,
    Record<string, { operationId: string; responses: Record<string, unknown> }>
  >;
  components: { responses: Record<string, unknown> };
}

test("the server describes every operation once, and nothing else but the event stream", async () => {
  const { paths } = (await json(app.request("/openapi.json"))) as unknown as Described;
  const described = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, { operationId }]) => `${operationId} ${method} ${path}`),
  );
  const expected = operations.map(({ name, route }) => {
    const [method = "", path = ""] = route.split(" ");
    return `${name} ${method.toLowerCase()} ${path.replace(/:(\w+)/g, "{$1}")}`;
  });
  expect(described.sort()).toEqual(
    [...expected, "events.stream get /v1/runs/{runId}/events/stream"].sort(),
  );
});

test("every declared error of an operation stands in its description", async () => {
  const { paths, components } = (await json(app.request("/openapi.json"))) as unknown as Described;
  for (const { route, errors } of operations) {
    const [method = "", path = ""] = route.split(" ");
    const described = paths[path.replace(/:(\w+)/g, "{$1}")]?.[method.toLowerCase()];
    const text = JSON.stringify([described?.responses, components.responses]);
    for (const code of errors) expect(text, route).toContain(`"${code}"`);
  }
});

test("every reference leads somewhere, and zod's own remarks are gone", async () => {
  const text = await (await app.request("/openapi.json")).text();
  const document = JSON.parse(text) as object;
  for (const [, reference = ""] of text.matchAll(/"\$ref":"#\/([^"]+)"/g)) {
    const found = reference
      .split("/")
      .reduce<unknown>((at, part) => Reflect.get(Object(at), part), document);
    expect(found, reference).toBeDefined();
  }
  for (const noise of ['"$schema"', "9007199254740991", '"additionalProperties":{}'])
    expect(text).not.toContain(noise);
});

test("the generated file is what the server says", async () => {
  const file = await readFile(new URL("../../docs/openapi.json", import.meta.url), "utf8");
  expect(JSON.parse(file)).toEqual(await json(app.request("/openapi.json")));
});
