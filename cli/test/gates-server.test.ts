import { fileURLToPath } from "node:url";
import { beforeAll, expect, onTestFinished, test, vi } from "vitest";
import { useDatabase } from "../../core/test/support/database.ts";
import { collect, runInside, startProgram, useFolder } from "./support/program.ts";

const db = useDatabase();
const folder = useFolder();
const SERVER = fileURLToPath(new URL("../../http-server/src/main.ts", import.meta.url));
let url = "";

beforeAll(async () => {
  const server = startProgram(folder, ["--port", "0"], { TIDEBASE_DATABASE_URL: db.url }, SERVER);
  const said = collect(server.stdout);
  await vi.waitFor(() => expect(said()).toMatch(/http:\/\/\S+/), { timeout: 30_000 });
  url = /http:\/\/[\w.:]+/.exec(said())?.[0] ?? "";
  return async () => {
    server.kill("SIGTERM");
    await new Promise((resolve) => server.once("close", resolve));
  };
}, 40_000);

async function asked(): Promise<string> {
  return (await db.gate(await db.begun())).gateId;
}

/** A key of its own, for as long as the test lasts. */
async function keyed(...scopes: string[]): Promise<Record<string, string>> {
  const { key } = await db.call("keys.create", { name: "ada", scopes });
  onTestFinished(async () => {
    await db.pool.query("delete from tidebase.api_keys");
  });
  return { TIDEBASE_URL: url, TIDEBASE_API_KEY: String(key), NO_COLOR: "1" };
}

test("an open server takes nobody's word, not even a terminal's, and the fix says what it takes", async () => {
  const gateId = await asked();
  const decide = ["gates", "decide", gateId, "--approve", "--yes"];
  for (const typed of [undefined, ""]) {
    const ended = await runInside(folder, decide, { TIDEBASE_URL: url }, typed);
    expect(ended).toMatchObject({ code: 1, stdout: "" });
    expect(ended.stderr).toContain("The caller may not do this. (scope: approve");
    expect(ended.stderr).toContain("Give TIDEBASE_API_KEY a key with the scope `approve`");
  }
  const { gate } = await db.call("gates.get", { gateId });
  expect(gate).toMatchObject({ status: "open" });
});

test("a key that may approve decides without a terminal, and as somebody signed in", async () => {
  const gateId = await asked();
  const env = await keyed("read", "approve");
  const decide = ["gates", "decide", gateId, "--approve", "--json"];
  const { code, stdout } = await runInside(folder, decide, env);
  expect(code).toBe(0);
  expect(JSON.parse(stdout)).toEqual(await db.call("gates.get", { gateId }));
  expect(JSON.parse(stdout).gate).toMatchObject({ decidedBy: "ada", assurance: "signed_in" });
});

test("a key that may not approve decides nothing", async () => {
  const gateId = await asked();
  const env = await keyed("read", "work", "enqueue", "operate", "admin");
  const decide = ["gates", "decide", gateId, "--approve", "--yes", "--json"];
  for (const typed of [undefined, ""]) {
    const refused = await runInside(folder, decide, env, typed);
    expect(refused).toMatchObject({ code: 1, stdout: "" });
    expect(JSON.parse(refused.stderr).error.code).toBe("scope_missing");
  }
});

test("not even a key that may approve gets a code or a link through a pipe", async () => {
  const gateId = await asked();
  const env = await keyed("read", "approve");
  for (const args of [
    ["code", gateId, "--approve"],
    ["open", gateId],
  ]) {
    const refused = await runInside(folder, ["gates", ...args, "--json"], env);
    expect(refused).toMatchObject({ code: 1, stdout: "" });
    expect(JSON.parse(refused.stderr).error.code).toBe("terminal_needed");
  }
  const { rows } = await db.pool.query(
    "select from tidebase.gate_proofs union all select from tidebase.sessions",
  );
  expect(rows).toEqual([]);
  const open = await runInside(folder, ["gates", "open", gateId], env, "");
  expect(open.stdout).toContain(`${url}/gates/${gateId}#link=`);
  const code = await runInside(folder, ["gates", "code", gateId, "--reject"], env, "");
  expect(code.stdout).toMatch(/code +\w{4}-\w{4}\n/);
});
