import { spawn } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { useFolder } from "../../cli/test/support/program.ts";
import { useDatabase } from "../../core/test/support/database.ts";
import { bundled, type Report, startScript, verified } from "../support/kill-and-resume.ts";
import { type ServerProcess, startServerProcess } from "../support/servers.ts";

const KILLS = 50;
/** Each waits for its turn, too. */
const PATIENT = { timeout: 1_200_000 };
const seed = Number(process.env["TIDEBASE_SEED"] ?? Math.floor(Math.random() * 2 ** 31));
const root = fileURLToPath(new URL("../../", import.meta.url));
const db = useDatabase();
const folder = useFolder();
let server: ServerProcess;

beforeAll(async () => {
  server = await startServerProcess(db.url);
});
afterAll(() => server.stop());

/** The results are the same for the same day, whoever works it out. */
const TWINS: Readonly<Record<string, readonly string[]>> = {
  "research-loop": [],
  "invoice-mailer": ["--month", "2026-05"],
  scraper: ["--concurrency", "3"],
  "chat-loop": [],
  "nightly-report": ["--date", "2026-05-31"],
};

/** Two at once, as the machine has processors. */
const slots = [Promise.resolve(), Promise.resolve()];
function inTurn<Value>(work: () => Promise<Value>): Promise<Value> {
  const before = slots.shift() ?? Promise.resolve();
  const ended = before.then(work);
  slots.push(
    ended.then(
      () => {},
      () => {},
    ),
  );
  return ended;
}

async function resultOf(name: string, args: readonly string[]): Promise<unknown> {
  const path = join(root, "examples/unwrapped", name, "main.ts");
  const child = spawn(process.execPath, ["--import", "tsx", path, ...args], { cwd: root });
  const { code, stdout, stderr } = await verified(child);
  expect(code, stderr).toBe(0);
  return JSON.parse(stdout);
}

describe(`a wrapped example repeats nothing, however often it is killed (seed ${seed})`, () => {
  test.concurrent.each(Object.entries(TWINS))(
    "%s, killed 50 times",
    PATIENT,
    async (name, args) => {
      const expected = await inTurn(() => resultOf(name, args));
      const { code, stdout, stderr } = await inTurn(async () => {
        const program = await bundled(name, folder, { path: `examples/wrapped/${name}/main.ts` });
        const options = ["--kills", `${KILLS}`, "--seed", `${seed}`, "--url", server.url, "--json"];
        return verified(startScript(options, [process.execPath, program, ...args], {}));
      });
      expect(code, `${stdout}\n${stderr}`).toBe(0);
      const report = JSON.parse(stdout) as Report;
      const { ok, kills, repeated, faults, baseline } = report;
      expect({ ok, kills, repeated, faults }).toEqual({
        ok: true,
        kills: KILLS,
        repeated: 0,
        faults: [],
      });
      expect(baseline.result).toEqual(expected);
      console.log(summary(name, report));
    },
  );
});

function summary(name: string, { interrupted, runs, baseline, kills }: Report): string {
  const times = interrupted.reduce((sum, step) => sum + step.times, 0);
  const seconds = runs.reduce((sum, { ms }) => sum + ms, 0) / 1000;
  const starts = runs.reduce((sum, run) => sum + run.starts, 0);
  return `${name}: seed ${seed}, ${kills} kills in ${runs.length} runs and ${starts} starts, ${times} times in the middle of one of ${baseline.steps} steps, ${seconds.toFixed(1)} s`;
}

/** A program of steps that take a while, with one fault; `effect` has one for each call, `keyed` for each key. */
function badProgram(steps: string): string {
  return `
    import { appendFileSync, readFileSync } from "node:fs";
    import { setTimeout as pause } from "node:timers/promises";
    import { Tidebase } from "@tidebase/sdk";
    const file = process.env.TIDEBASE_EFFECTS_FILE;
    const effect = (line) => appendFileSync(file, line + "\\n");
    const keyed = (line) => readFileSync(file, "utf8").includes(line) || effect(line);
    const slow = async (value) => { await pause(60); return value; };
    const tide = new Tidebase();
    try {
      const runId = process.env.TIDEBASE_RUN_ID;
      await tide.run("bad", { runId }, async (run) => {
        const mail = { sideEffects: ["mail"], idempotencyKey: "mail" };
        ${steps}
      });
    } finally {
      await tide.close();
    }`;
}

const BEFORE = 'await run.step("first", () => slow(1));';
const AFTER =
  'for (const key of ["a", "b", "c"]) await run.step("later", { key }, () => slow(key));';

interface Bad {
  readonly fault: string;
  readonly steps: string;
  readonly kind: string;
  readonly what: string;
  readonly advice: string;
}

const BAD: readonly Bad[] = [
  {
    fault: "an effect between steps",
    steps: `${BEFORE} effect("mail to ada"); ${AFTER}`,
    ...{ kind: "effect_repeated", what: '"mail to ada" happened', advice: "between steps" },
  },
  {
    fault: "a step that is called otherwise in every attempt",
    steps: `await run.step("note " + Math.random(), () => slow(1)); ${AFTER}`,
    ...{ kind: "unstable_step", what: 'step "note 0.', advice: "no random ids" },
  },
  {
    fault: "an undeclared effect in a step that is killed in the middle",
    steps: `${BEFORE} await run.step("mail", async () => { await pause(60); effect("mail to ada"); await pause(500); }); ${AFTER}`,
    ...{ kind: "effect_repeated", what: '"mail to ada" happened', advice: 'step "mail"' },
  },
  {
    fault: "a declared effect without a key",
    steps: `${BEFORE} await run.step("mail", { sideEffects: ["mail"] }, async () => { effect("mail to ada"); await pause(500); }); ${AFTER}`,
    ...{ kind: "review_needed", what: 'step "mail" has an effect', advice: "idempotencyKey" },
  },
  {
    fault: "a key that is not passed on",
    steps: `${BEFORE} await run.step("mail", mail, async () => { effect("mail to ada"); await pause(500); }); ${AFTER}`,
    ...{ kind: "effect_repeated", what: '"mail to ada" happened', advice: "not passed on" },
  },
  {
    fault: "a result with a time from between steps",
    steps: `${BEFORE} const at = Date.now(); ${AFTER} return { at };`,
    ...{ kind: "result_differs", what: "result.at is ", advice: "inside steps" },
  },
  {
    fault: "a program that cannot start twice",
    steps: `if (readFileSync(file, "utf8") !== "") throw new Error("exists already"); effect("made"); ${BEFORE} ${AFTER}`,
    ...{ kind: "not_resumed", what: "exists already", advice: "go on from any moment" },
  },
];

async function program(name: string, steps: string): Promise<string[]> {
  return [process.execPath, await bundled(name, folder, { text: badProgram(steps) })];
}

describe("the script names what is wrong", () => {
  test.concurrent.each(BAD)("$fault", PATIENT, async ({ fault, steps, kind, what, advice }) => {
    const { code, stdout, stderr } = await inTurn(async () => {
      const options = ["--kills", "8", "--seed", `${seed}`, "--url", server.url, "--json"];
      return verified(startScript(options, await program(fault.replaceAll(" ", "-"), steps), {}));
    });
    expect(code, `${stdout}\n${stderr}`).toBe(1);
    const found = (JSON.parse(stdout) as Report).faults;
    expect(found, stdout).toContainEqual(
      expect.objectContaining({
        kind,
        what: expect.stringContaining(what),
        advice: expect.stringContaining(advice),
      }),
    );
    expect(new Set(found.map((one) => one.kind)), stdout).toEqual(new Set([kind]));
  });

  test("ids and times that a step recorded may differ from run to run", async () => {
    const steps = `const at = await run.step("at", () => Date.now()); ${AFTER}
      await run.step("mail", mail, async () => { keyed("mail to ada of " + at); await pause(60); });
      return { at, runId: run.runId };`;
    const options = ["--kills", "8", "--seed", `${seed}`];
    const script = startScript(options, await program("good", steps), { TIDEBASE_URL: server.url });
    const { code, stdout } = await verified(script);
    expect({ code, stdout }).toEqual({ code: 0, stdout: expect.stringContaining("0 repeated") });
    expect(stdout).toContain(`Seed ${seed}`);
    expect(stdout).toContain("steps recorded it: result.at\n");
  });
});

describe("the script says what to do when it cannot try", () => {
  const node = process.execPath;

  async function refused(options: string[], command: string[], env = {}): Promise<string> {
    const { code, stderr } = await verified(startScript(options, command, env));
    expect(code, stderr).toBe(2);
    return stderr;
  }

  test("a program that fails by itself", async () => {
    const command = await program("failing", 'throw new Error("no luck");');
    const said = await refused(["--url", server.url], command);
    expect(said).toMatch(/failed by itself, undisturbed, with 1.*: no luck/);
  });

  test("a program that never begins the run", async () => {
    const said = await refused(["--url", server.url], [node, "-e", "0"]);
    expect(said).toContain("It must begin the run that TIDEBASE_RUN_ID names");
  });

  test("no server", async () => {
    const said = await refused(["--url", "http://127.0.0.1:2"], [node, "-e", "0"]);
    expect(said).toContain("(ECONNREFUSED). Start one (npx tidebase-server)");
    const blocked = await refused(["--url", "http://127.0.0.1:9"], [node, "-e", "0"]);
    expect(blocked).toContain("(bad port)");
  });

  test.each([
    ["an unknown option", ["--kill", "3"], [node], "--kill"],
    ["a number that is none", ["--kills", "many"], [node], "--kills must be a whole number"],
    ["no kills", ["--kills", "0"], [node], "--kills must be a whole number, at least 1"],
    ["no time", ["--timeout", "0"], [node], "--timeout must be a whole number, at least 1"],
    ["no command", ["--kills", "3"], [], "Give the command after --"],
    ["a command without --", ["node", "agent.mjs"], [], "Give the command after --"],
    ["effects in no folder", ["--effects", "/no/such/file"], [node], "--effects: ENOENT"],
    ["effects in a folder itself", ["--effects", tmpdir()], [node], "--effects: EISDIR"],
    ["no program", [], ["no-such-program"], "cannot be started"],
  ])("%s", async (_what, options, command, says) => {
    const said = await refused(["--url", server.url, ...options], command);
    expect(said).toContain(says);
    expect(said).not.toMatch(/^ +at /m);
  });

  test("a run that waits for a human, who is told how to answer", async () => {
    const command = await program("gated", 'await run.gate("send", { prompt: "Send?" });');
    const said = await refused(["--url", server.url, "--timeout", "10"], command);
    expect(said).toMatch(/gates decide gate_[0-9a-f-]{36}; this script never does/);
    const { gates } = await db.call("gates.list", { status: "open" });
    expect(gates).toHaveLength(1);
  });

  test("--help says all of it", async () => {
    const { code, stdout } = await verified(startScript(["--help"], [], {}));
    expect({ code, stdout }).toEqual({
      code: 0,
      stdout: expect.stringMatching(/detached.*lives on.*TIDEBASE_RUN_ID/s),
    });
  });
});

test("interrupted, it leaves no process behind", async () => {
  const steps = 'effect(process.pid); await run.step("long", () => pause(60_000));';
  const effects = join(folder, "pid");
  const options = ["--url", server.url, "--effects", effects];
  const script = startScript(options, await program("endless", steps), {});
  const ended = verified(script);
  const pid = () => (existsSync(effects) ? Number(readFileSync(effects, "utf8")) : 0);
  await expect.poll(pid).toBeGreaterThan(0);
  script.kill("SIGINT");
  expect((await ended).code).toBe(130);
  await expect.poll(() => isAlive(pid())).toBe(false);
});

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

/** The last one: from here on the server asks for a key. */
test("where the server has keys, the script's own is TIDEBASE_API_KEY", async () => {
  const scopes = ["read", "work", "enqueue"];
  const { key } = await db.call("keys.create", { name: "script", scopes });
  const options = ["--kills", "2", "--url", server.url];
  const command = await program("with-key", `${BEFORE} ${AFTER}`);
  const without = await verified(startScript(options, command, {}));
  expect(without).toMatchObject({ code: 2, stderr: expect.stringContaining("TIDEBASE_API_KEY") });
  const having = await verified(startScript(options, command, { TIDEBASE_API_KEY: String(key) }));
  expect(having, having.stderr).toMatchObject({
    code: 0,
    stdout: expect.stringContaining("0 repeated"),
  });
});
