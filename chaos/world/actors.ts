import { type ChildProcess, spawn } from "node:child_process";
import { setTimeout as delay } from "node:timers/promises";
import type { Ended } from "../history/evidence.ts";
import { inherited } from "./config.ts";
import { followed } from "./leftovers.ts";
import type { Actor } from "./world.ts";

/** How to start a program, once and again. */
export interface Program {
  /** Without its incarnation, such as `server1`. */
  readonly name: string;
  readonly role: Ended["role"];
  /** What Node runs. */
  readonly file: string;
  readonly parameters?: readonly string[];
  /** What it prints on stdout when it is ready. */
  readonly ready: RegExp;
  variables(name: string): Readonly<Record<string, string>>;
  /** Told of each end of each incarnation. */
  ended(end: Ended): void;
}

/** An actor, and what only the world knows of it. */
export interface OwnActor extends Actor {
  /** What its current incarnation printed when it was ready. */
  readonly printed: RegExpMatchArray | undefined;
  /** Ends it for good, whatever state it is in. */
  kill(): Promise<void>;
}

const READY_MS = 30_000;
const PAUSE_MS = 250;
const TAIL = 8_000;
const PASSING: readonly NodeJS.Signals[] = ["SIGSTOP", "SIGCONT", "SIGUSR1", "SIGUSR2"];

/** One life of a program. */
interface Life {
  readonly name: string;
  readonly child: ChildProcess;
  readonly ready: Promise<RegExpMatchArray>;
  readonly gone: Promise<void>;
  /** Whether somebody of ours has ended it. */
  meant: boolean;
}

/** Starts the program; resolves when it is ready. Throws with what it said when it does not become ready. */
export async function startActor(program: Program): Promise<OwnActor> {
  let incarnation = 0;
  let life = begin(program, incarnation, {});
  let printed: RegExpMatchArray | undefined = await life.ready;
  const isRunning = () => life.child.exitCode === null && life.child.signalCode === null;

  async function end(signal: NodeJS.Signals): Promise<void> {
    if (!isRunning()) return;
    life.meant = true;
    life.child.kill(signal);
    await life.gone;
  }

  /** As a supervisor would: one that finds no database, for that is down too, is started again. */
  async function restart(variables: Readonly<Record<string, string>> = {}): Promise<void> {
    if (isRunning()) throw new Error(`${life.name} runs: end it before it is started again.`);
    for (const deadline = Date.now() + READY_MS; ; await delay(PAUSE_MS)) {
      incarnation += 1;
      printed = undefined;
      life = begin(program, incarnation, variables);
      try {
        printed = await life.ready;
        return;
      } catch (error) {
        if (Date.now() > deadline) throw error;
      }
    }
  }

  return {
    role: program.role,
    get name() {
      return life.name;
    },
    get pid() {
      return life.child.pid ?? 0;
    },
    get running() {
      return isRunning();
    },
    get printed() {
      return isRunning() ? printed : undefined;
    },
    async signal(signal) {
      if (PASSING.includes(signal)) life.child.kill(signal);
      else await end(signal);
    },
    restart,
    kill: () => end("SIGKILL"),
  };
}

function begin(
  program: Program,
  incarnation: number,
  variables: Readonly<Record<string, string>>,
): Life {
  const name = `${program.name}.${incarnation}`;
  const args = [program.file, ...(program.parameters ?? [])];
  const env = { ...inherited(), ...program.variables(name), ...variables };
  const child = spawn(process.execPath, args, { env, stdio: ["ignore", "pipe", "pipe"] });
  const forget = followed(child.pid ?? 0);
  let [said, complained] = ["", ""];
  let isReady = false;
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    complained = (complained + text).slice(-TAIL);
  });
  const gone = new Promise<void>((resolve) => child.once("close", () => resolve()));
  const ready = new Promise<RegExpMatchArray>((resolve, reject) => {
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      said = (said + text).slice(-TAIL);
      const match = isReady ? null : said.match(program.ready);
      if (match === null) return;
      isReady = true;
      clearTimeout(late);
      resolve(match);
    });
    const because = () => `${name} did not become ready.\n${said}${complained}`.trim();
    const late = setTimeout(() => child.kill("SIGKILL"), READY_MS);
    child.once("error", reject);
    child.once("close", () => {
      clearTimeout(late);
      reject(new Error(because()));
    });
  });
  ready.catch(() => {}); // whoever waits for it is told
  const life: Life = { name, child, ready, gone, meant: false };
  child.once("close", (code, signal) => {
    forget();
    // One that never became ready has served nobody: its starter tries again.
    const meant = life.meant || !isReady;
    program.ended({ name, role: program.role, meant, code, signal, stderr: complained });
  });
  return life;
}
