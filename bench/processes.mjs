import { fork, spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { request } from "undici";

const START_MS = 30_000;
/** No single measurement takes so long: whoever does hangs. */
const ANSWER_MS = 180_000;
/** What does not end by itself is ended. */
const STOP_MS = 8_000;

/**
 * A server as a process of its own, once `ready` answers 200. With `profile`, V8 writes a CPU profile of a Node program
 * into that folder when it ends.
 */
export async function startServer({ program, args, ready, env, profile }) {
  const flags = program === undefined ? profiling(profile) : [];
  const child = spawn(program ?? process.execPath, [...flags, ...args], {
    env: { ...process.env, ...env },
    stdio: ["ignore", "ignore", "pipe"],
    detached: true, // Ctrl-C at the terminal is for the bench, which ends it in its turn
  });
  const said = [];
  child.stderr.on("data", (chunk) => said.push(chunk));
  try {
    for (const url of ready) await answers(url, child);
  } catch (cause) {
    await end(child);
    throw new Error(`${args[0]} did not start: ${Buffer.concat(said)}`, { cause });
  }
  return { stop: () => end(child) };
}

/** A client or worker of a system (actor.mjs), which does what it is called for. */
export async function startActor({ system, role, given, profile }) {
  const child = fork(
    fileURLToPath(new URL("actor.mjs", import.meta.url)),
    [system, role, JSON.stringify(given)],
    {
      execArgv: profiling(profile),
      stdio: ["ignore", "ignore", "pipe", "ipc"],
      serialization: "advanced",
      detached: true,
    },
  );
  const said = [];
  const waiting = new Map();
  child.stderr.on("data", (chunk) => said.push(chunk));
  child.on("message", ({ id, value, error }) => {
    const ends = waiting.get(id);
    waiting.delete(id);
    if (error === undefined) ends?.resolve(value);
    else ends?.reject(new Error(error));
  });
  child.once("exit", () => {
    const error = new Error(`Its ${role} ended. ${Buffer.concat(said)}`);
    for (const { reject } of waiting.values()) reject(error);
  });
  let calls = 0;
  const answer = (what, ms) => within(ms, what, (ends) => waiting.set(calls, ends));
  await answer("start", START_MS).catch(async (error) => {
    await end(child);
    throw error;
  });
  return {
    /** Does an operation of operations.mjs there. Throws what it threw, and when it hangs or has ended. */
    call(operation, input) {
      calls += 1;
      const answered = answer(operation, ANSWER_MS);
      if (child.connected) child.send({ id: calls, operation, input });
      else waiting.get(calls).reject(new Error(`Its ${role} has ended. ${Buffer.concat(said)}`));
      return answered;
    },
    async stop() {
      if (child.connected) child.disconnect();
      await end(child, () => {}); // it leaves by itself
    },
  };
}

/** A port that nobody listens on. */
export async function freePort() {
  const probe = createServer().listen(0, "127.0.0.1");
  await once(probe, "listening");
  const { port } = probe.address();
  probe.close();
  await once(probe, "close");
  return port;
}

function profiling(folder) {
  return folder === undefined ? [] : ["--cpu-prof", `--cpu-prof-dir=${folder}`];
}

async function within(ms, what, executor) {
  const late = new AbortController();
  const answered = new Promise((resolve, reject) => executor({ resolve, reject }));
  const tooLate = delay(ms, undefined, { signal: late.signal }).then(() => {
    throw new Error(`No answer to "${what}" in ${ms / 1000} s.`);
  });
  tooLate.catch(() => {});
  try {
    return await Promise.race([answered, tooLate]);
  } finally {
    late.abort();
  }
}

/** Asks a process to end, and ends it when it does not. */
async function end(child, ask = () => child.kill()) {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, "exit");
  ask();
  const patience = setTimeout(() => child.kill("SIGKILL"), STOP_MS);
  await ended;
  clearTimeout(patience);
}

async function answers(url, child) {
  for (const deadline = Date.now() + START_MS; ; await delay(20)) {
    const answer = await request(url).catch(() => undefined);
    await answer?.body.dump();
    if (answer?.statusCode === 200) return;
    if (child.exitCode !== null) throw new Error(`It ended with ${child.exitCode}.`);
    if (Date.now() > deadline) throw new Error(`No 200 from ${url} in ${START_MS / 1000} s.`);
  }
}
