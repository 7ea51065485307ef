import { openCore } from "@tidebase/core";
import { afterAll, expect, test } from "vitest";
import { newGrant, useDatabase } from "../../core/test/support/database.ts";
import { createApp, openLog } from "../src/index.ts";
import { json, poster } from "./support.ts";

const db = useDatabase();
const away = openCore({ databaseUrl: "postgres://user:canary@127.0.0.1:1/none", sweeps: false });
afterAll(() => away.close());

test("a server whose database is away lives, is not ready, and says when to come back", async () => {
  const app = createApp(away, { store: "canary-store" });
  expect((await app.request("/health")).status).toBe(200);
  for (const path of ["/ready", "/v1/overview"]) {
    const answer = await app.request(path);
    expect([answer.status, answer.headers.get("retry-after")], path).toEqual([503, "1"]);
    expect(await answer.text()).not.toContain("canary");
  }
  const ready = { code: "store_unavailable", ready: false, database: { reachable: false } };
  expect(await json(app.request("/ready"))).toMatchObject(ready);
});

test("while the database is away each refused request is one short line; its stack is for debug", async () => {
  const linesAt = async (level: "info" | "debug"): Promise<string[]> => {
    const lines: string[] = [];
    const log = openLog(level, { write: (line: string) => void lines.push(line) });
    await createApp(away, { log }).request("/v1/overview");
    return lines;
  };
  const [line = "", ...more] = await linesAt("info");
  expect(more).toEqual([]);
  expect(line.length).toBeLessThan(400);
  const told = { level: 40, status: 503, code: "store_unavailable" };
  const cause = expect.stringContaining("ECONNREFUSED");
  expect(JSON.parse(line)).toMatchObject({ ...told, cause });
  expect(JSON.parse(line)).not.toHaveProperty("err");
  const [debugged = "{}"] = await linesAt("debug");
  expect(JSON.parse(debugged)).toMatchObject({ ...told, err: { stack: expect.any(String) } });
});

test("a schema that lacks migrations is not ready, and they are named", async () => {
  const bare = openCore({ databaseUrl: db.url, schema: "never_migrated", sweeps: false });
  const answer = await json(createApp(bare).request("/ready"));
  expect(answer).toMatchObject({ status: 503, database: { reachable: true } });
  expect(JSON.stringify(answer["migrations"])).toMatch(/0001_\w+/);
  await bare.close();
});

test("a ready server says which store it uses, a stopping one that it stops", async () => {
  const stopping = new AbortController();
  const app = createApp(db.core, { store: "here (TEST)", stopping: stopping.signal });
  expect(await json(app.request("/ready"))).toMatchObject({ ready: true, store: "here (TEST)" });
  stopping.abort();
  expect(await json(app.request("/ready"))).toMatchObject({ status: 503, stopping: true });
});

test("a run that another worker holds says how many seconds are left", async () => {
  const { runId } = await db.begun();
  const answer = await poster(createApp(db.core))(`/v1/runs/${runId}/begin`, {
    grantId: newGrant(),
  });
  expect(answer.status).toBe(409);
  const seconds = Number(answer.headers.get("retry-after"));
  expect(seconds).toBeGreaterThan(50);
  expect(seconds).toBeLessThanOrEqual(60);
});
