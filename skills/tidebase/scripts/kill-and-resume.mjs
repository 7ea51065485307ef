#!/usr/bin/env node
// Kills a program that works with Tidebase at random moments, resumes it, and tells what happened twice.
// One file for plain Node 20, without dependencies: it works wherever it is copied.
import { spawn, spawnSync } from "node:child_process";
import { randomInt, randomUUID } from "node:crypto";
import { existsSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { parseArgs } from "node:util";

const HELP = `Usage: node kill-and-resume.mjs [options] -- <command…>

Runs the command once undisturbed, then on new runs, and kills it (SIGKILL) at random moments, with what it
started; but what that started detached, in a process group of its own, lives on. Each run is resumed until it
is final. The command begins the run that TIDEBASE_RUN_ID names:
  tide.run("name", { runId: process.env.TIDEBASE_RUN_ID }, async (run) => { … })
Its fakes of the outside world append one line for each effect to the file TIDEBASE_EFFECTS_FILE. It must not
touch the real world: everything is done dozens of times.

  --kills <n>        kills that hit the program at work (50)
  --seed <n>         repeats the choice of moments (random, and printed)
  --effects <file>   the file of effects, emptied before each run (one in a temporary folder)
  --url <address>    the server (TIDEBASE_URL, else http://127.0.0.1:7373); its key is TIDEBASE_API_KEY
  --timeout <s>      longest time for one start of the command, or for one wait of the run (120)
  --json             the report as JSON on standard output
  --help             this text

Exit code: 0 nothing was repeated, 1 something was or a run could not be resumed, 2 it could not be tried.
Only Linux shows at once that a killed holder is gone. Elsewhere each resume waits for its lease: start the
server with TIDEBASE_LEASE_MS=2000.
`;
const ADVICE = {
  step_repeated: "This is a fault of Tidebase: report it with the seed.",
  effect_missing: "What steers the work is kept between steps or outside, and a resume finds it changed.",
  unstable_step: "Name and key must be the same in every attempt: no random ids, clocks or counters in them, but ids of what is worked on.",
  result_differs:
    "It was made between steps, or lost in a resume: take ids, times and random values inside steps, and return what steps returned.",
  review_needed: 'Give it an idempotencyKey that the outside recognises; or say replay: "manual" where a person shall look.',
  not_resumed: "The command must be able to go on from any moment.",
};
const WINDOWS = process.platform === "win32";

/** It could not be tried: exit code 2, with what to do. */
class Refusal extends Error {}

let running; // must not outlive this process
const temporary = mkdtempSync(join(tmpdir(), "kill-and-resume-"));
process.on("exit", () => {
  killGroup(running);
  rmSync(temporary, { recursive: true, force: true });
});
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => process.exit(130));

let options;
try {
  options = readOptions(process.argv.slice(2));
  await api("/v1/runs?limit=1");
  prepareEffects();
  const report = await verify();
  process.stdout.write(options.json ? `${JSON.stringify(report, null, 2)}\n` : describe(report));
  process.exitCode = report.ok ? 0 : 1;
} catch (error) {
  const isUsage = String(error.code).startsWith("ERR_PARSE_ARGS");
  process.stderr.write(`kill-and-resume: ${error instanceof Refusal || isUsage ? error.message : error.stack}\n`);
  process.exit(2);
}

async function verify() {
  const { seed, command } = options;
  progress(`seed ${seed}: the baseline`);
  const undisturbed = await takeRun(0);
  if (undisturbed.problem !== undefined) throw new Refusal(undisturbed.problem);
  const found = { faults: new Map(), interrupted: new Map(), recorded: new Set() };
  const runs = [];
  let [kills, starts] = [0, 0];
  while (kills < options.kills) {
    const run = await takeRun(Math.min(options.kills - kills, 3 + Math.floor(random() * 8)), undisturbed);
    kills += run.kills;
    starts += run.starts;
    runs.push({ runId: run.runId, kills: run.kills, starts: run.starts, ms: run.ms });
    compare(run, undisturbed, found);
    progress(`${kills} of ${options.kills} kills, ${runs.length} runs`);
    if (starts > options.kills * 5 + 50)
      throw new Refusal(`Only ${kills} of ${starts} starts were hit at work: let the fakes take some tens of milliseconds.`);
  }
  if (process.stderr.isTTY) process.stderr.write("\n");
  const [faults, interrupted] = [found.faults, found.interrupted].map((told) => [...told.values()]);
  const repeated = faults.filter(({ kind }) => kind.endsWith("_repeated")).length;
  const { runId, ms, result, steps, effects } = undisturbed;
  const baseline = { runId, ms, steps: steps.length, effects: effects.length, result };
  const recordedDifferences = [...found.recorded];
  return { ok: faults.length === 0, seed, command, kills, repeated, faults, interrupted, recordedDifferences, baseline, runs };
}

/** One run to its end, killed so often on the way; what is recorded of it, and why it did not end well. */
async function takeRun(wanted, baseline) {
  writeFileSync(options.effects, "");
  const run = { runId: `run_${randomUUID()}`, events: [], kills: 0, starts: 0, problem: undefined };
  const began = performance.now();
  for (let isFinal = false; !isFinal && run.problem === undefined; ) {
    const left = wanted - run.kills;
    const ended = await attempt(run, left > 0 ? choosePlan(run, baseline, left) : undefined);
    isFinal = run.events.some(({ type }) => type === "run.completed" || type === "run.cancelled");
    if (isFinal) run.problem = ended.killed || ended.code === 0 ? undefined : `The run is final, but the command failed.${ended.said}`;
    else if (ended.killed) run.kills += 1;
    else run.problem = await whyNotFinal(run, ended);
  }
  run.ms = Math.round(performance.now() - began);
  const effects = neutral(readFileSync(options.effects, "utf8"), run.runId).split("\n").filter(Boolean);
  return { ...run, effects, steps: [], ...(run.events.length > 0 && (await readRecord(run.runId))) };
}

/** Starts the command, kills it as planned, and comes back when it is gone. */
async function attempt(run, plan) {
  const from = run.events.length;
  const [file, ...args] = options.command;
  const own = { TIDEBASE_URL: options.url, TIDEBASE_RUN_ID: run.runId, TIDEBASE_EFFECTS_FILE: options.effects };
  run.starts += 1;
  const version = `kill-and-resume-${run.starts}`; // another one each time: then the run's end names steps that it did not ask for
  const env = { ...process.env, ...own, TIDEBASE_VERSION: version };
  const child = spawn(file, args, { env, detached: !WINDOWS, stdio: ["ignore", "pipe", "pipe"] });
  let [printed, gone, killed, timer, latest] = ["", undefined, false, undefined, performance.now() + options.timeoutS * 1000];
  running = child;
  const listen = (text) => {
    printed = (printed + text).slice(-2000);
  };
  for (const stream of [child.stdout, child.stderr]) stream.on("data", listen);
  const closed = new Promise((done) => child.once("close", done));
  const exited = new Promise((done) => {
    child.once("error", (error) => done({ error }));
    child.once("exit", (code, signal) => done({ code, signal }));
  }).then((how) => {
    gone = how;
  });
  const kill = () => {
    killed ||= gone === undefined;
    killGroup(child);
  };
  while (gone === undefined) {
    await Promise.race([exited, pause(20)]);
    await readEvents(run);
    const fresh = run.events.slice(from);
    if (plan?.isDue(fresh)) timer ??= setTimeout(kill, plan.ms);
    const completed = fresh.some(({ type }) => type === "run.completed");
    if (completed) latest = Math.min(latest, performance.now() + 5000); // a program that does not close its client
    if (gone === undefined && performance.now() > latest) {
      if (!completed) throw new Refusal(`The command took more than ${options.timeoutS} s: see --timeout.${lastLines(printed)}`);
      gone = { code: 0, signal: null };
    }
  }
  clearTimeout(timer);
  killGroup(child); // and what it left behind
  running = undefined;
  if (gone.error !== undefined) throw new Refusal(`"${file}" cannot be started: ${gone.error.message}`);
  await Promise.race([closed, pause(500)]);
  await readEvents(run);
  return { ...gone, killed: killed && (WINDOWS || gone.signal !== null), said: lastLines(printed) };
}

/** When to kill: mostly somewhere in the rest of the run, by time or by its events; now and then while it starts. */
function choosePlan({ events }, baseline, left) {
  const steps = baseline.steps.length;
  const rest = Math.max(1, steps - events.filter(({ type }) => type === "step.completed").length);
  const stepMs = baseline.workMs / Math.max(1, steps);
  const [chance, ahead] = [random(), (random() * 2 * rest) / (left + 1)];
  if (chance < 0.1) return { isDue: () => true, ms: random() * (baseline.ms - baseline.workMs) };
  if (chance < 0.5) return { isDue: (fresh) => fresh.some(({ type }) => type === "run.begun"), ms: ahead * stepMs };
  const isDue = (fresh) => fresh.filter(({ type }) => type.startsWith("step.")).length > ahead;
  return { isDue, ms: random() * Math.max(20, stepMs) };
}

/** Why the command ended before its run; undefined when the run waited and can go on now. */
async function whyNotFinal({ runId, events, kills }, { code, signal, said }) {
  const how = code === 0 ? "ended" : `failed by itself, ${kills === 0 ? "undisturbed" : "resumed"}, with ${code ?? signal}`;
  const must = 'It must begin the run that TIDEBASE_RUN_ID names: tide.run("name", { runId: process.env.TIDEBASE_RUN_ID }, …)';
  if (events.length === 0) return `The command ${how} and did not create the run ${runId}. ${must}${said}`;
  const { run, verdict } = await api(`/v1/runs/${runId}`);
  const { reason, next } = verdict;
  if (run.status !== "waiting") return `The command ${how} before its run did: ${run.errorMessage ?? reason} ${next.text}${said}`;
  const answer = (next.gates ?? []).map((gate) => `npx tidebase gates decide ${gate}`).join(" and ");
  const advice = answer === "" ? next.text : `A person answers with ${answer}; this script never does.`;
  process.stderr.write(`The run waits: ${reason} ${advice}\n`);
  for (const end = performance.now() + options.timeoutS * 1000; performance.now() < end; await pause(500))
    if ((await api(`/v1/runs/${runId}`)).run.status !== "waiting") return undefined;
  throw new Refusal(`Run ${runId} still waits after ${options.timeoutS} s. ${advice}`);
}

/** What differs between a run that was killed and the one that was not. */
function compare(run, baseline, { faults, interrupted, recorded }) {
  const { runId, problem, steps } = run;
  const fault = (kind, what, advice = ADVICE[kind]) => {
    const { runs, ...seen } = faults.get(kind + what) ?? { kind, what, advice, runId, runs: 0 };
    faults.set(kind + what, { ...seen, runs: runs + 1 });
  };
  const order = readOrder(run.events);
  for (const step of order.repeated) fault("step_repeated", `${step} ran again after its completion was recorded`);
  const cut = steps.filter((step) => order.interrupted.has(called(step)));
  for (const step of cut) {
    const seen = interrupted.get(called(step)) ?? { step: called(step), times: 0, contract: says(step) };
    interrupted.set(called(step), { ...seen, times: seen.times + order.interrupted.get(called(step)) });
  }
  const unkeyed = cut.filter((step) => says(step) !== "keyed");
  const review = unkeyed.filter(({ status }) => status !== "completed").filter((step) => says(step) === "not keyed");
  // A step whose author wants a person to look rests, as it should.
  const unwanted = review.filter(({ contract }) => !contract.replay && !contract.verifiedBy);
  for (const step of unwanted)
    fault("review_needed", `${called(step)} has an effect and no idempotencyKey: cut off, it waits for a person`);
  if (problem !== undefined && review.length === 0) fault("not_resumed", problem);
  compareEffects(run, baseline, unkeyed.map(called), fault);
  if (problem !== undefined) return;
  compareSteps(run, baseline, fault);
  for (const { path, expected, actual } of differences(baseline.result, run.result, "result"))
    if (isRecorded(actual, run.outputs)) recorded.add(path);
    else fault("result_differs", `${path} is ${shown(actual)}, in the baseline ${shown(expected)}`);
}

function compareSteps(run, baseline, fault) {
  const names = (steps, runId) => new Set(steps.map((step) => neutral(called(step), runId)));
  const [here, there] = [run, baseline].map(({ steps, runId }) => names(steps, runId));
  const lost = names(run.events.at(-1)?.data?.orphanedSteps ?? [], run.runId);
  for (const step of lost) fault("unstable_step", `${step} was recorded, and the same run did not ask for it later`);
  for (const step of here) if (!there.has(step) && !lost.has(step)) fault("unstable_step", `${step} is not in the baseline`);
  for (const step of there) if (!here.has(step)) fault("unstable_step", `${step} of the baseline is missing`);
}

function compareEffects(run, baseline, unkeyed, fault) {
  const [here, there] = [count(run.effects), count(baseline.effects)];
  const cut = unkeyed.length === 0 ? "" : ` Killed in the middle without a key: ${unkeyed.join(", ")}.`;
  const advice = `It stands between steps, or in a step whose idempotencyKey is missing or not passed on.${cut}`;
  for (const [line, times] of here) {
    const before = there.get(line) ?? 0;
    if (times > Math.max(1, before)) fault("effect_repeated", `"${line}" happened ${times} times, in the baseline ${before}`, advice);
  }
  const added = [...here.keys()].filter((line) => !there.has(line));
  const missing = [...there.keys()].filter((line) => !here.has(line));
  const surplus = added.length > missing.length ? added : []; // as many of other names: ids that a step recorded
  for (const line of surplus)
    fault("effect_repeated", `"${line}" is not in the baseline: one more, or the same under another name`, advice);
  const lost = missing.length > added.length && run.problem === undefined ? missing : [];
  for (const line of lost) fault("effect_missing", `"${line}" of the baseline did not happen`);
}

/** How often each step was cut off by a kill, and the steps that ran again although they were completed. */
function readOrder(events) {
  const [open, done, cut, repeated] = [new Set(), new Set(), [], new Set()];
  for (const { type, data } of [...events, { type: "run.begun" }]) {
    const step = type.startsWith("step.") ? called(data) : undefined;
    if (done.has(step) && type !== "step.reviewed") repeated.add(step);
    if (type === "step.completed") done.add(step);
    if (type === "step.begun") open.add(step);
    else open.delete(step);
    if (type !== "run.begun") continue;
    cut.push(...open);
    open.clear();
  }
  return { interrupted: count(cut), repeated };
}

async function readEvents({ runId, events }) {
  for (let more = true; more; ) {
    const page = await api(`/v1/runs/${runId}/events?limit=1000&afterSeq=${events.at(-1)?.seq ?? 0}`, "run_not_found");
    events.push(...(page?.events ?? []));
    more = typeof page?.nextAfterSeq === "number";
  }
}

/** What is recorded: steps, their outputs as one text, the result, and the milliseconds from first to last. */
async function readRecord(runId) {
  const steps = await pages(`/v1/runs/${runId}/steps`, "steps");
  const journal = await pages(`/v1/runs/${runId}/journal`, "journal");
  const { run, result = null } = await api(`/v1/runs/${runId}?include=result`);
  const [text, outputs] = [result, journal].map((value) => neutral(JSON.stringify(value), runId));
  return { steps, outputs, result: JSON.parse(text), workMs: Date.parse(run.updatedAt) - Date.parse(run.createdAt) };
}

async function pages(path, member) {
  const items = [];
  for (let page = { afterName: "", afterKey: "" }; typeof page.afterName === "string"; ) {
    page = await api(`${path}?${new URLSearchParams({ afterName: page.afterName, afterKey: page.afterKey })}`);
    items.push(...page[member]);
  }
  return items;
}

/** What the server answers; undefined for the one refusal that may be. */
async function api(path, mayBe) {
  const { url } = options;
  const key = process.env.TIDEBASE_API_KEY?.trim();
  const init = { headers: key ? { authorization: `Bearer ${key}` } : {}, signal: AbortSignal.timeout(30_000) };
  const answer = await fetch(url + path, init).catch((error) => {
    const why = error.cause?.code ?? error.cause?.message ?? error.message;
    throw new Refusal(`No Tidebase server answers at ${url} (${why}). Start one (npx tidebase-server), or see --url.`);
  });
  const body = await answer.json().catch(() => undefined);
  if (answer.ok && body !== undefined) return body;
  if (mayBe !== undefined && body?.code === mayBe) return undefined;
  const needsKey = answer.status === 401 || answer.status === 403;
  const remedy = needsKey ? "Set TIDEBASE_API_KEY to a key with the scopes read, work and enqueue." : "Is it a Tidebase server?";
  throw new Refusal(`${url}${path} answered ${answer.status}. ${body?.detail ?? ""} ${remedy}`);
}

function readOptions(argv) {
  const end = argv.includes("--") ? argv.indexOf("--") : argv.length;
  const flags = ["kills", "seed", "effects", "url", "timeout"].map((name) => [name, { type: "string" }]);
  const known = { ...Object.fromEntries(flags), json: { type: "boolean" }, help: { type: "boolean" } };
  const { values, positionals } = parseArgs({ args: argv.slice(0, end), options: known, allowPositionals: true });
  if (values.help) {
    process.stdout.write(HELP);
    process.exit(0);
  }
  const { kills = "50", seed = `${randomInt(2 ** 31)}`, timeout = "120" } = values;
  for (const [name, given] of Object.entries({ kills, seed, timeout }))
    if (!/^\d{1,10}$/.test(given) || (Number(given) === 0 && name !== "seed"))
      throw new Refusal(`--${name} must be a whole number${name === "seed" ? "" : ", at least 1"}. See --help.`);
  const command = argv.slice(end + 1);
  if (command.length === 0 || positionals.length > 0)
    throw new Refusal("Give the command after --, as in: kill-and-resume.mjs -- node agent.mjs");
  const url = (values.url ?? process.env.TIDEBASE_URL ?? "http://127.0.0.1:7373").replace(/\/+$/, "");
  const effects = values.effects === undefined ? undefined : resolve(values.effects);
  const numbers = { kills: Number(kills), seed: Number(seed), state: Number(seed), timeoutS: Number(timeout) };
  return { command, url, effects, json: values.json, ...numbers };
}

/** Empties the file of effects; what it held is kept beside it. */
function prepareEffects() {
  if (options.effects === undefined) {
    options.effects = join(temporary, "effects");
    return;
  }
  try {
    if (existsSync(options.effects) && readFileSync(options.effects).length > 0)
      renameSync(options.effects, unusedName(`${options.effects}.before`));
    writeFileSync(options.effects, "");
  } catch (error) {
    const remedy = "Name a file that can be written, in a folder that is there.";
    throw new Refusal(`--effects: ${error.message}. ${remedy}`, { cause: error });
  }
}

/** The name itself, or the first of `name-2`, `name-3` … that no file has. */
function unusedName(name) {
  let unused = name;
  for (let n = 2; existsSync(unused); n++) unused = `${name}-${n}`;
  return unused;
}

/** Ends the program and everything it started. */
function killGroup(child) {
  if (child?.pid === undefined) return;
  if (WINDOWS) return void spawnSync("taskkill", ["/pid", String(child.pid), "/T", "/F"]);
  try {
    process.kill(-child.pid, "SIGKILL");
  } catch {} // gone already
}

/** From 0 up to 1, the same sequence for a seed: a linear congruential generator. */
function random() {
  options.state = (Math.imul(options.state, 1_664_525) + 1_013_904_223) >>> 0;
  return options.state / 2 ** 32;
}

function neutral(text, runId) {
  return text.replaceAll(runId, "<run>").replaceAll(runId.slice(4), "<run>");
}

function called({ name, key }) {
  return key ? `step "${name}" (key "${key}")` : `step "${name}"`;
}

/** What a step's contract says of running again. */
function says({ contract }) {
  if (contract?.idempotencyKey !== undefined) return "keyed";
  if (contract?.sideEffects?.some((effect) => effect !== "read")) return "not keyed";
  return contract?.sideEffects === undefined ? "declares no effects" : "read-only";
}

function count(items) {
  const counted = new Map();
  for (const item of items) counted.set(item, (counted.get(item) ?? 0) + 1);
  return counted;
}

function differences(expected, actual, path) {
  if (Object.is(expected, actual)) return [];
  const isNested = [expected, actual].every((value) => typeof value === "object" && value !== null);
  if (!isNested || Array.isArray(expected) !== Array.isArray(actual)) return [{ path, expected, actual }];
  const keys = Object.keys({ ...expected, ...actual });
  return keys.flatMap((key) => differences(expected[key], actual[key], `${path}.${key}`));
}

/** Ids and times that a step returned may differ from run to run; anything short may be there by chance. */
function isRecorded(value, outputs) {
  const text = typeof value === "string" ? JSON.stringify(value).slice(1, -1) : String(value);
  return typeof value !== "object" && text.length >= 8 && outputs.includes(text);
}

function describe({ baseline, faults, interrupted, kills, recordedDifferences, repeated, runs, seed }) {
  const lines = [`Seed ${seed}. Baseline: ${baseline.steps} steps, ${baseline.effects} effects, ${baseline.ms} ms.`];
  if (interrupted.length > 0) lines.push("Killed in the middle, so they ran again:");
  for (const { step, times, contract } of interrupted) lines.push(`  ${step}: ${times} times, ${contract}`);
  if (recordedDifferences.length > 0) lines.push(`Differs from run to run, but steps recorded it: ${recordedDifferences.join(", ")}`);
  for (const fault of faults)
    lines.push(`FAULT ${fault.kind}: ${fault.what}. In ${fault.runs} runs, such as ${fault.runId}.`, `  ${fault.advice}`);
  const others = faults.length - repeated;
  return `${lines.join("\n")}\n${kills} kills in ${runs.length} runs: ${repeated} repeated${others > 0 ? `, ${others} other faults` : ""}.\n`;
}

function shown(value) {
  return (JSON.stringify(value) ?? "missing").slice(0, 80);
}

function lastLines(printed) {
  const text = printed.trim().split("\n").slice(-12).join("\n  ");
  return text === "" ? "" : `\nIt said at the end:\n  ${text}`;
}

/** One line that is written over on a terminal. */
function progress(text) {
  process.stderr.write(process.stderr.isTTY ? `\r\x1b[K${text}` : `${text}\n`);
}
