import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { Tidebase } from "@tidebase/sdk";
import { MODELS, type ModelName, openModel } from "./model.ts";
import { openTrace } from "./trace.ts";
import { type Observer, type Research, research } from "./workflow.ts";

/** What the agent tells the program that started it. */
export interface Progress {
  readonly step: string;
  readonly at: keyof Observer;
}

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
export const QUESTION =
  "What happens to a run when its worker is killed, who may take it over, and which steps run again?";

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
