import type { GateAnswer, ShownGate, ThrowawayServer } from "@tidebase/server/testing";
import { TidebaseError } from "../errors.ts";
import type { Operations } from "../operations.gen.ts";

/** An open gate, in full. */
export type OpenGate = Operations["gates.get"]["output"]["gate"];

/** What a test decides. */
export type TestDecision =
  | "approve"
  | "reject"
  | {
      readonly decision: "approve" | "reject";
      /** The filled-in form, where the gate asks for one. */
      readonly answer?: unknown;
      readonly note?: string;
    };

/** How gates are answered: always the same, or as a function of the gate says; undefined leaves it open. */
export type TestAnswer =
  | TestDecision
  | ((gate: OpenGate) => TestDecision | undefined | Promise<TestDecision | undefined>);

/** Gates that answer themselves. */
export interface TestGates {
  /**
   * Answers the gates of this name, or those for which the function is true, those that are open
   * already too; the first rule that fits decides. The result takes the rule out again. What a rule
   * throws, and a decision that is refused, is thrown by the next `work`, `advance` or crash check.
   */
  answer(which: string | ((gate: OpenGate) => boolean), how: TestAnswer): () => void;
}

/** Decides by the operation that the gate page uses, as somebody who is signed in. `checkOpen` throws once the store is closed. */
export function openTestGates(server: ThrowawayServer, checkOpen: () => void): TestGates {
  return {
    answer(which, how) {
      checkOpen();
      const fits = typeof which === "string" ? (gate: OpenGate) => gate.name === which : which;
      return server.answerGates(async (shown: ShownGate) => {
        const gate = shown as unknown as OpenGate;
        if (!fits(gate)) return undefined;
        const said = typeof how === "function" ? await how(gate) : how;
        return said === undefined ? undefined : decided(said);
      });
    },
  };
}

function decided(said: TestDecision): GateAnswer {
  const { decision, ...more } = typeof said === "string" ? { decision: said } : said;
  if (decision !== "approve" && decision !== "reject")
    throw new TidebaseError("input_invalid", 'A gate is answered by "approve" or "reject".');
  return { decision: decision === "approve" ? "approved" : "rejected", ...more };
}
