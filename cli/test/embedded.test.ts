import { join } from "node:path";
import { expect, test } from "vitest";
import { clusterStatus } from "../../core/src/embedded/cluster.ts";
import { ask, useHomes } from "../../core/test/support/home.ts";
import { type Ended, runInside, runProgram, startProgram, useFolder } from "./support/program.ts";

const newHome = useHomes();
const folder = useFolder();

function tidebase(home: string, ...args: string[]): Promise<Ended> {
  return runProgram(folder, args, { TIDEBASE_HOME: home });
}

function inside(home: string, ...args: string[]): Promise<Ended> {
  return runInside(folder, args, { TIDEBASE_HOME: home });
}

async function json(home: string, ...args: string[]): Promise<Record<string, unknown>> {
  return JSON.parse((await inside(home, ...args, "--json")).stdout);
}

async function stateOf(home: string): Promise<string> {
  return (await clusterStatus({ home })).state;
}

test("with nothing configured a command brings its own Postgres, and leaves it stopped", async () => {
  const home = await newHome();
  expect(await json(home, "db", "status")).toMatchObject({
    kind: "embedded",
    foundBy: "embedded",
    serverVersion: null,
    embedded: { state: "absent" },
  });
  expect(await stateOf(home)).toBe("absent");
  const listed = await tidebase(home, "runs", "list");
  expect(listed).toMatchObject({ code: 0, stdout: "No runs.\n" });
  expect(await stateOf(home)).toBe("stopped");
  expect(await json(home, "migrate", "--check")).toMatchObject({ pending: [] });
  expect(await stateOf(home)).toBe("stopped");
}, 60_000);

test("start leaves it running, url opens it, stop ends it", async () => {
  const home = await newHome();
  expect((await tidebase(home, "db", "start")).stdout).toMatch(/^Started on port \d+\.\n$/);
  expect((await tidebase(home, "db", "start")).stdout).toMatch(/^It already runs/);
  const url = await tidebase(home, "db", "url");
  expect(url.stderr).toContain("password");
  expect(await ask(url.stdout.trim(), "select current_database() as name")).toEqual({
    name: "tidebase",
  });
  const status = await inside(home, "db", "status");
  expect(status.stdout).toContain(`running, port ${new URL(url.stdout).port}`);
  expect(status.stdout).toContain("pending: 0001_");
  expect(status.stdout + status.stderr).not.toContain(new URL(url.stdout).password);
  expect(await json(home, "db", "stop")).toMatchObject({ stopped: true });
  expect(await json(home, "db", "stop")).toMatchObject({ stopped: false });
  expect(await stateOf(home)).toBe("stopped");
}, 60_000);

test("of a new embedded store the doctor finds nothing that fails, and leaves it as it was", async () => {
  const home = await newHome();
  const env = { TIDEBASE_HOME: home, TIDEBASE_PORT: "1" };
  const before = await runProgram(folder, ["doctor"], env);
  expect(before).toMatchObject({ code: 0, stdout: expect.stringContaining("Not made yet") });
  expect(await stateOf(home)).toBe("absent");
  await inside(home, "migrate");
  const made = await runProgram(folder, ["doctor", "--json"], env);
  expect(made).toMatchObject({ code: 0, stderr: "" });
  const findings = JSON.parse(made.stdout) as { check: string; status: string }[];
  const odd = findings.filter(({ status }) => status !== "ok").map(({ check }) => check);
  expect(odd).toEqual(["server"]);
  expect(await stateOf(home)).toBe("stopped");
}, 60_000);

test("what was exported before a reset is there again after the import", async () => {
  const home = await newHome();
  await inside(home, "keys", "create", "agent", "--scopes", "read");
  const before = await json(home, "keys", "list");
  const file = join(folder, "before.jsonl");
  expect((await inside(home, "db", "export", file)).code).toBe(0);
  const unconfirmed = await inside(home, "db", "reset");
  expect(unconfirmed).toMatchObject({ code: 2, stdout: "" });
  expect(await json(home, "db", "reset", "--yes")).toMatchObject({ deleted: true });
  expect(await stateOf(home)).toBe("absent");
  expect((await inside(home, "db", "import", file)).code).toBe(0);
  expect(await json(home, "keys", "list")).toEqual(before);
  expect(await stateOf(home)).toBe("stopped");
}, 60_000);

test("a reset is refused while somebody uses it, unless it is forced", async () => {
  const home = await newHome();
  await tidebase(home, "db", "start");
  const user = startProgram(folder, ["db", "import", "-"], { TIDEBASE_HOME: home });
  await expect
    .poll(async () => (await clusterStatus({ home })).processes, { timeout: 15_000 })
    .toBe(1);
  const refused = await inside(home, "db", "reset", "--yes", "--json");
  expect(JSON.parse(refused.stderr).error.code).toBe("embedded_in_use");
  expect(await stateOf(home)).toBe("running");
  user.kill("SIGTERM");
  const ended = await new Promise((resolve) => user.once("close", resolve));
  expect(ended).toBe(143);
  expect(await stateOf(home)).toBe("stopped"); // it left in order
  expect((await inside(home, "db", "reset", "--yes", "--force")).code).toBe(0);
}, 60_000);
