import { existsSync } from "node:fs";
import { join, relative, resolve } from "node:path";
import { newRunId } from "@tidebase/sdk";
import type { Progress } from "./agent.ts";
import { showAssistant } from "./assistant.ts";
import {
  findUnfinished,
  findViolations,
  gather,
  render,
  type StepEvidence,
} from "./evidence-table.ts";
import { type KillPlan, planKill } from "./kill-plan.ts";
import { type Child, startProgram } from "./processes.ts";
import { heading, paint, quote, say } from "./terminal.ts";

/** What the command line of the demo says. */
export interface Options {
  readonly seed: number;
  readonly question?: string | undefined;
  readonly llm: string;
  readonly model?: string | undefined;
  /** How long a step takes at least. */
  readonly paceMs: number;
  readonly out: string;
  readonly keep: boolean;
  /** Everything the assistant is told, not only the gist. */
  readonly verbose: boolean;
}

/** Beside where the demo was started; git ignores it. */
export const DEFAULT_OUT = "tidebase-demo";

/** Plays the demo with its store in `home`. Returns the exit code: 1 when a promise was broken. */
export async function tellStory(options: Options, home: string): Promise<number> {
  const began = Date.now();
  const env = cleanEnvironment(home);
  const runId = newRunId();
  const out = resolve(options.out, runId);
  const plan = planKill(options.seed);

  heading(1, "A Tidebase server starts, on a real Postgres that came with npm");
  const url = await startServer(env);
  say(`Ready at ${url} after ${secondsSince(began)}.`);

  heading(2, "A research agent starts work, and is killed");
  say(
    paint(
      "dim",
      `${runId} · 12 steps over this repository's docs and source · --seed ${plan.seed}`,
    ),
  );
  const command = { args: agentArguments(options, runId), env: { ...env, TIDEBASE_URL: url } };
  const first = await runAgent("agent 1", command, options, plan);
  const died = findUnfinished(join(out, "trace"), first.pid).map((step) => `"${step}"`);
  const where = died.length === 0 ? "between two steps" : `in the middle of ${died.join(" and ")}`;
  quote("agent 1", paint("red", `✗ kill -9 ${first.pid}, ${where}`));

  heading(3, "What your coding assistant sees: a real MCP client on tidebase-mcp, over stdio");
  await showAssistant(env, runId, options.verbose);

  heading(4, "The same command once more: the run goes on where it stopped");
  const resumed = Date.now();
  const second = await runAgent("agent 2", command, options);
  say(`Finished in ${secondsSince(resumed)}; nobody waited for a lease to run out.`);

  heading(5, "What really happened, counted from the files that the steps left behind");
  const evidence = gather(join(out, "trace"), first.pid, second.pid);
  say(render(evidence));
  const violations = findViolations(evidence);
  if (!existsSync(join(out, "report.md"))) violations.push("The report is missing.");
  conclude(evidence, violations, out, began);
  if (options.keep) say(`\nThe store is kept: TIDEBASE_HOME=${home}`);
  return violations.length === 0 ? 0 : 1;
}

function conclude(
  evidence: readonly StepEvidence[],
  violations: readonly string[],
  out: string,
  began: number,
): void {
  for (const { step, effects, declared } of evidence.filter(({ first }) => first === "killed"))
    say(paint("dim", `\n${explainKilled(step, effects, declared)}`));
  const finished = evidence.filter(({ first }) => first === "finished").length;
  const verdict =
    violations.length === 0
      ? paint("green", `✓ ${finished} steps were finished when the agent died. None ran twice.`)
      : paint("red", `✗ ${violations.join(" ")}`);
  say(`\n${verdict}`);
  say(`The report, with its citations: ${relative(process.cwd(), join(out, "report.md"))}`);
  say(`Everything took ${secondsSince(began)}.`);
}

function explainKilled(step: string, effects: number, declared: boolean): string {
  const again = `"${step}" was under way, its completion not recorded, so it ran again:`;
  if (declared) return `${again}\nwith the same idempotency key, so the world saw one effect.`;
  if (effects > 1)
    return `${again}\nprocess 1 had done the work and died before it could say so. A step runs at least once;\nthat is why a step that changes the world carries an idempotency key.`;
  return `${again}\nprocess 1 died before the work was done.`;
}

function agentArguments(options: Options, runId: string): string[] {
  const args = ["--run", runId, "--pace", String(options.paceMs)];
  if (options.out !== DEFAULT_OUT) args.push("--out", resolve(options.out));
  if (options.llm !== "local") args.push("--llm", options.llm);
  if (options.model !== undefined) args.push("--model", options.model);
  if (options.question !== undefined) args.push("--question", options.question);
  return args;
}

/** Ends when the agent does: by itself, or by the kill that was planned. */
async function runAgent(
  label: string,
  { args, env }: { args: string[]; env: Record<string, string> },
  { paceMs }: Options,
  plan?: KillPlan,
): Promise<Child> {
  const agent: Child = startProgram("examples/research-agent/agent.ts", args, {
    env,
    onLine: (line) => quote(label, line),
    onMessage(message) {
      const { step, at } = message as Progress;
      if (at === "begun" && step === plan?.step)
        setTimeout(() => agent.kill("SIGKILL"), plan.part * paceMs);
    },
  });
  const { code, signal } = await agent.ended;
  const asExpected = plan === undefined ? code === 0 : signal === "SIGKILL";
  if (!asExpected) throw new Error(`${label} ended with ${code ?? signal}.\n${agent.errors()}`);
  return agent;
}

/** Nothing of the caller's own is touched: another home, and no variable that names a store. */
function cleanEnvironment(home: string): Record<string, string> {
  const kept: Record<string, string> = {};
  for (const [name, value] of Object.entries(process.env))
    if (value !== undefined && !name.startsWith("TIDEBASE_")) kept[name] = value;
  return { ...kept, DATABASE_URL: "", TIDEBASE_HOME: home };
}

/** The address it says it listens on. Throws with what it said when it ends before. */
async function startServer(env: Record<string, string>): Promise<string> {
  return await new Promise((resolve, reject) => {
    const server = startProgram("http-server/src/main.ts", ["--port", "0"], {
      env,
      onLine(line) {
        const url = /https?:\/\/[\w.:]+/.exec(line)?.[0];
        if (url !== undefined) resolve(url);
      },
    });
    void server.ended.then(() =>
      reject(new Error(`The server did not start.\n${server.errors()}`)),
    );
  });
}

function secondsSince(instant: number): string {
  return `${((Date.now() - instant) / 1000).toFixed(1)} s`;
}
