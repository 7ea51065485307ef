import { fileURLToPath } from "node:url";
import { beforeAll, expect, onTestFinished, test, vi } from "vitest";
import { useDatabase } from "../../core/test/support/database.ts";
import {
  collect,
  type Ended,
  runInside,
  runProgram,
  startProgram,
  useFolder,
} from "./support/program.ts";

const db = useDatabase();
const folder = useFolder();
const SERVER = fileURLToPath(new URL("../../http-server/src/main.ts", import.meta.url));
let url = "";

beforeAll(async () => {
  const env = { TIDEBASE_DATABASE_URL: db.url };
  const server = startProgram(folder, ["--port", "0"], env, SERVER);
  const said = collect(server.stdout);
  await vi.waitFor(() => expect(said()).toMatch(/http:\/\/\S+/), { timeout: 30_000 });
  url = /http:\/\/[\w.:]+/.exec(said())?.[0] ?? "";
  return async () => {
    server.kill("SIGTERM");
    await new Promise((resolve) => server.once("close", resolve));
  };
}, 40_000);

function tidebase(...args: string[]): Promise<Ended> {
  return runInside(folder, args, { TIDEBASE_URL: url });
}

test("runs, gates and deliveries answer the same through a server as through its database", async () => {
  const lease = await db.begun();
  const { runId } = lease;
  await db.call("steps.complete", {
    items: [{ ...lease, name: "draw", output: ["\0", "\ud800"] }],
  });
  await db.call("state.write", { ...lease, kind: "set", value: { a: [1] } });
  const { gateId } = await db.gate(lease, { data: ["\0", "\ud800"] });
  const child = { workflow: "page", name: "page", queue: "pages" };
  await db.call("children.create", { ...lease, children: [child] });
  await db.call("runs.fail", { ...lease, error: { message: "boom" } });
  await db.call("queues.update", { queue: "a/b", concurrency: 2, paused: true });
  const daily = { name: "50%/day", cron: "@daily", workflow: "report" };
  await db.call("schedules.put", daily);
  for (const args of [
    ["runs", "list", "--status", "failed,interrupted", "--search", "boom"],
    ["runs", "get", runId, "--include", "input,result"],
    ["runs", "verdict", runId],
    ["runs", "recover", runId],
    ["runs", "steps", runId],
    ["runs", "events", runId, "--types", "run.created,run.failed"],
    ["runs", "state", runId, "--path", "/a"],
    ["runs", "state", runId, "--versions"],
    ["gates", "list"],
    ["gates", "list", "--status", "closed"],
    ["gates", "show", gateId],
    ["deliveries", "list"],
    ["runs", "children", runId, "--results"],
    ["runs", "cancel", runId, "--dry-run"],
    ["queues", "list", "--limit", "1"],
    ["queues", "show", "a/b"],
    ["schedules", "show", "50%/day"],
    ["schedules", "fires", "50%/day"],
  ]) {
    const far = await tidebase(...args, "--json");
    const near = await runInside(folder, [...args, "--json"], { TIDEBASE_DATABASE_URL: db.url });
    expect({ args, ...far, stdout: JSON.parse(far.stdout) }).toEqual({
      args,
      ...near,
      stdout: JSON.parse(near.stdout),
    });
    const words = [
      await tidebase(...args),
      await runInside(folder, args, { TIDEBASE_DATABASE_URL: db.url }),
    ];
    expect(words[0]).toEqual(words[1]);
  }
});

test("a server's refusals are told like a database's, by the real program too", async () => {
  const args = ["runs", "get", "run_00000000-0000-0000-0000-000000000000", "--url", url];
  const { code, stdout, stderr } = await runProgram(folder, args);
  expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
  expect(stderr).toContain("No run has that id.");
});

test.each([
  [["keys", "list"]],
  [["keys", "create", "mine", "--scopes", "approve"]],
  [["webhooks", "list"]],
  [["webhooks", "create", "w", "--to", "https://example.com/", "--events", "gate.*", "--decides"]],
])("an open server does not %j", async (args) => {
  const refused = await tidebase(...args, "--json");
  expect(refused).toMatchObject({ code: 1, stdout: "" });
  expect(JSON.parse(refused.stderr).error).toMatchObject({
    code: "scope_missing",
    fix: expect.stringContaining("tidebase keys create"),
  });
});

test("a key comes from TIDEBASE_API_KEY, and what it may not do is refused", async () => {
  const here = { TIDEBASE_DATABASE_URL: db.url };
  const create = ["keys", "create", "reader", "--scopes", "read,admin"];
  const made = await runInside(folder, create, here);
  expect(made.code).toBe(0);
  onTestFinished(async () => {
    await db.pool.query("delete from tidebase.api_keys");
  });
  const env = { TIDEBASE_URL: url, TIDEBASE_API_KEY: made.stdout.trim() };
  expect((await runInside(folder, ["runs", "list"], env)).code).toBe(0);
  for (const listed of ["keys", "webhooks"]) {
    const far = await runInside(folder, [listed, "list", "--json"], env);
    expect(far).toEqual(await runInside(folder, [listed, "list", "--json"], here));
  }
  const refused = await runInside(folder, ["runs", "recover", await db.pending(), "--json"], env);
  expect(refused).toMatchObject({ code: 1, stdout: "" });
  expect(JSON.parse(refused.stderr).error.code).toBe("scope_missing");
  expect(refused.stderr).not.toContain(made.stdout.trim());
});
