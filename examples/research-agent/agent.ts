import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { Tidebase } from "@tidebase/sdk";
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
    question: { type: "string", default: QUESTION },
    root: { type: "string", default: ROOT },
    out: { type: "string", default: resolve("tidebase-demo") },
    llm: { type: "string", default: "local" },
    model: { type: "string" },
    pace: { type: "string", default: "0" },
  },
});

const llm = MODELS.find((name) => name === values.llm);
if (llm === undefined) throw new Error(`--llm is one of ${MODELS.join(", ")}.`);
const complete = openModel(llm, process.env, values.model);
const paceMs = Number(values.pace);
const trace = openTrace(resolve(values.out, "trace"), process.pid);

const marks: Record<keyof Observer, string> = { begun: "▸", effect: "•", returned: "✓" };
function tell(at: keyof Observer, step: string): void {
  if (at !== "effect") console.log(`${marks[at]} ${step}`);
  process.send?.({ step, at } satisfies Progress);
}

const observer: Observer = {
  begun(step) {
    trace.begun(step);
    tell("begun", step);
  },
  effect(step, key) {
    const isNew = trace.effect(step, key);
    tell("effect", step);
    return isNew;
  },
  returned(step) {
    trace.returned(step);
    tell("returned", step);
  },
};

const input: Research = { question: values.question, root: values.root, out: resolve(values.out) };
const tide = new Tidebase();
const published = await tide.run(
  "research",
  { ...(values.run === undefined ? {} : { runId: values.run }), input, tags: ["demo"] },
  (run) => research(run, { complete, observer, paceMs }),
);
console.log(`Report: ${published.report}`);
await tide.close();
if (process.connected) process.disconnect();
