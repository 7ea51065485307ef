import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { type Run, Tidebase } from "@tidebase/sdk";
import { MODELS, openModel } from "./model.ts";
import { QUESTION } from "./prompts.ts";
import { openTrace } from "./trace.ts";
import { type Observer, type Research, research } from "./workflow.ts";

/** What the agent tells the program that started it, if one listens. */
export interface Progress {
  readonly step: string;
  readonly at: keyof Observer;
}

const ROOT = fileURLToPath(new URL("../../", import.meta.url));

const { values } = parseArgs({
  options: {
    run: { type: "string" },
    question: { type: "string" },
    out: { type: "string" },
    llm: { type: "string" },
    model: { type: "string" },
    pace: { type: "string" },
  },
});

/** Counts and prints what happens to the steps, and tells it to the parent process. */
function observe(out: string): Observer {
  const trace = openTrace(join(out, "trace"), process.pid);
  const begunAt = new Map<string, number>();
  const tell = (at: keyof Observer, step: string) =>
    void process.send?.({ step, at } satisfies Progress);
  return {
    begun(step) {
      trace.begun(step);
      begunAt.set(step, Date.now());
      tell("begun", step);
    },
    effect(step, key) {
      trace.effect(step, key);
      tell("effect", step);
    },
    returned(step) {
      trace.returned(step);
      const began = begunAt.get(step);
      if (began === undefined) console.log(`↺ ${step}, from the record`);
      else console.log(`✓ ${step} (${Date.now() - began} ms)`);
      tell("returned", step);
    },
  };
}

const llm = MODELS.find((name) => name === (values.llm ?? "local"));
if (llm === undefined) throw new Error(`--llm is one of ${MODELS.join(", ")}.`);
const complete = openModel(llm, process.env, values.model);
const out = resolve(values.out ?? "tidebase-demo");
const paceMs = Number(values.pace ?? 0);

const tide = new Tidebase();
const workflow = tide.workflow("research", (run: Run<Research>) =>
  research(run, { complete, observer: observe(join(out, run.runId)), paceMs }),
);
const published = await workflow.run({
  ...(values.run === undefined ? {} : { runId: values.run }),
  input: { question: values.question ?? QUESTION, root: ROOT, out },
  tags: ["demo"],
});
console.log(`Published ${published.claims} claims that cite ${published.sources} files.`);
await tide.close();
if (process.connected) process.disconnect();
