import { listGates } from "@tidebase/core";
import { z } from "zod";
import { fit, TOKENS, Truncated, truncation } from "../answers/fit.ts";
import { ask, type Plain } from "../answers/plain.ts";
import { untrusted, untrustedOf } from "../answers/untrusted.ts";
import { READ_FOREIGN, tool } from "../tool.ts";
import { foreignGateFields, foreignOfGate, GateStatus, gateFields, ofGate } from "./gate-fields.ts";
import { Hints, optional, RunId } from "./run-fields.ts";

const PROMPT_LENGTH = 100;

type Page = Plain<z.output<typeof listGates.output>>;

export const listGatesTool = tool({
  name: "tidebase_list_gates",
  title: "List gates",
  toolset: "gates",
  description:
    "Questions that runs put to humans, oldest first, one line each: status, risk and what a decision requires; prompt and names under untrusted. Open ones unless status says otherwise. Page on with cursor = nextCursor and the same filters.",
  input: z.strictObject({
    status: GateStatus.default("open"),
    runId: RunId.optional(),
    limit: z.int().min(1).max(50).default(20),
    cursor: z.string().max(500).optional(),
  }),
  output: z.object({
    gates: z.array(z.object(gateFields)),
    nextCursor: z.string().optional(),
    truncated: Truncated,
    untrusted: untrustedOf({ gates: z.array(z.object(foreignGateFields)) }).optional(),
    hints: Hints,
  }),
  annotations: READ_FOREIGN,
  async handler({ limit, ...filters }, { backend }) {
    const page = await ask(backend, listGates, { ...filters, limit });
    const total = page.gates.length;
    let answer = answerOf(page, total);
    // The cursor follows the last row shown: what did not fit is asked again as a shorter page.
    while (answer.gates.length < answer.asked && answer.gates.length > 0) {
      const shorter = await ask(backend, listGates, { ...filters, limit: answer.gates.length });
      answer = answerOf(shorter, total);
    }
    const { asked: _, ...shown } = answer;
    return shown;
  },
});

function answerOf(page: Page, total: number): { asked: number; gates: object[] } {
  const asked = page.gates.length;
  const budget = { tokens: TOKENS.gates, text: PROMPT_LENGTH, rows: asked };
  const answer = fit(budget, ({ text, rows }) => {
    const gates = page.gates.slice(0, rows);
    const foreign = gates.map((gate) => foreignOfGate(gate, text));
    return {
      gates: gates.map(ofGate),
      ...optional("nextCursor", page.nextCursor),
      ...truncation({ field: "gates", shown: gates.length, total }),
      ...(gates.length === 0
        ? { hints: ["No gate matches."] }
        : { untrusted: untrusted({ gates: foreign }) }),
    };
  });
  return { ...answer, asked };
}
