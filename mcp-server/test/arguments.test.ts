import { describe, expect, test } from "vitest";
import { readArguments } from "../src/arguments.ts";
import { isReadOnly } from "../src/read-only.ts";
import { toolsFor } from "../src/tools/index.ts";

const USUAL = {
  readOnly: false,
  allowWrites: false,
  toolsets: ["runs", "gates", "ops"],
  tools: [],
};

test("without options it serves the runs, the gates and the operator's tools, and the API", async () => {
  expect(await readArguments([])).toEqual({ kind: "serve", ...USUAL, api: true });
  expect(await readArguments(["--no-http"])).toEqual({ kind: "serve", ...USUAL, api: false });
});

test("an option that is given twice adds to itself", async () => {
  expect(await readArguments(["--toolsets", "runs", "--toolsets", "gates,ops"])).toMatchObject({
    toolsets: ["runs", "gates", "ops"],
  });
});

test("sets of tools are read as a list", async () => {
  expect(await readArguments(["--toolsets", "start, runs", "--read-only"])).toMatchObject({
    readOnly: true,
    toolsets: ["start", "runs"],
  });
});

test.each(["runs,opps", "", "runs,"])(
  "the sets %j are refused with those that there are",
  async (given) => {
    expect(await readArguments([`--toolsets=${given}`])).toEqual({
      kind: "refused",
      because: expect.stringMatching(/no set ".*"\. Take some of runs,gates,ops,start\.$/),
    });
  },
);

describe("single tools", () => {
  const named = async (...given: string[]) => {
    const request = await readArguments(given);
    if (request.kind !== "serve") throw new Error(`It is ${JSON.stringify(request)}.`);
    return toolsFor(request).map(({ name }) => name);
  };

  test("are offered alone, with or without the prefix", async () => {
    expect(await named("--tools", "tidebase_get_run, overview")).toEqual([
      "tidebase_overview",
      "tidebase_get_run",
    ]);
    expect(await named("--tools", "enqueue_run")).toEqual(["tidebase_enqueue_run"]);
  });

  test("come besides the sets that are named with them", async () => {
    const gates = await named("--toolsets", "gates");
    const both = await named("--toolsets", "gates", "--tools", "get_run,list_gates");
    expect([...both].sort()).toEqual([...gates, "tidebase_get_run"].sort());
  });

  test("that write are left out when nothing may be written", async () => {
    expect(await named("--tools", "get_run,cancel_run,enqueue_run", "--read-only")).toEqual([
      "tidebase_get_run",
    ]);
  });

  test.each([
    ["get_runs", "Did you mean tidebase_get_run?"],
    ["tidebase_overveiw", "Did you mean tidebase_overview?"],
    ["", "Take some of tidebase_overview,"],
    ["zzzzzzzzzzzzzzz", "Take some of tidebase_overview,"],
  ])("%j is refused with the closest", async (name, way) => {
    expect(await readArguments(["--tools", `list_runs,${name}`])).toEqual({
      kind: "refused",
      because: expect.stringContaining(`no tool ${JSON.stringify(name)}. ${way}`),
    });
  });
});

test("the subcommand http has the same options, an address and a port", async () => {
  const given = ["http", "--read-only", "--port", "0", "--host", "::1", "--tools=get_run"];
  expect(await readArguments(given)).toEqual({
    kind: "http",
    readOnly: true,
    allowWrites: false,
    toolsets: [],
    tools: ["tidebase_get_run"],
    port: 0,
    host: "::1",
  });
  expect(await readArguments(["http"])).toMatchObject({
    ...USUAL,
    port: undefined,
    host: undefined,
  });
  expect(await readArguments(["http", "--help"])).toEqual({ kind: "help" });
});

test("what follows install is its own", async () => {
  const args = ["--client", "cursor", "--help"];
  expect(await readArguments(["install", ...args])).toEqual({ kind: "install", args });
});

test.each([
  [["htpp"], 'no subcommand "htpp". Did you mean http?'],
  [["serve"], 'no subcommand "serve".'],
  [["--read-only", "http"], "http"],
  [["http", "--no-http"], "--no-http"],
  [["http", "--port", "65536"], "no number from 0 to 65535"],
  [["--port", "1"], "--port"],
])("%j is refused", async (given, because) => {
  expect(await readArguments(given)).toEqual({
    kind: "refused",
    because: expect.stringContaining(because),
  });
});

test("TIDEBASE_READ_ONLY is believed unless it says no", () => {
  const said = (value?: string) => isReadOnly({ TIDEBASE_READ_ONLY: value });
  expect(["1", "true", "yes", "", "on"].map(said)).toEqual([true, true, true, true, true]);
  expect([undefined, "0", "false"].map(said)).toEqual([false, false, false]);
});
