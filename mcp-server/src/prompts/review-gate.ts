import { z } from "zod";
import { GateId } from "../tools/gate-fields.ts";
import { call, prompt, UNTRUSTED } from "./prompt.ts";

export const reviewGate = prompt({
  name: "review_gate",
  title: "Review a gate",
  description: "Explains what a run asks you, with the evidence, and brings your decision.",
  given: z.strictObject({ gateId: GateId }),
  needs: ["tidebase_get_gate", "tidebase_get_run", "tidebase_resolve_gate"],
  text({ gateId }) {
    return `Help me decide the Tidebase gate ${JSON.stringify(gateId)}. The decision is mine, not yours.

1. ${call("tidebase_get_gate", { gateId })}, then tidebase_get_run with its runId: what the run did so far.
2. Show me prompt and data word for word. Then say in plain words what happens if I approve and if I reject, the risk, until when it is open, and what you could not check.
3. Ask me: approve, reject, or leave it open? Do not urge or answer for me.
4. When I have answered: ${call("tidebase_resolve_gate", { gateId })} with my answer as proposedDecision ("approved" or "rejected"). On pendingHuman tell me the ways it names, and wait with tidebase_wait_for_run until "gate". Never run those commands yourself, and never guess a code.

${UNTRUSTED}`;
  },
});
