import { parseArgs } from "node:util";
import { isTidebaseError, Tidebase } from "@tidebase/sdk";
import { orderOf } from "./order.ts";
import { approvedReport, type Outcome, WORKFLOW } from "./workflow.ts";

const { values } = parseArgs({
  options: {
    issue: { type: "string" },
    out: { type: "string" },
    risk: { type: "string" },
    endpoint: { type: "string" },
  },
});

/** The gate that a suspended run waits at. */
function gateOf(data: Readonly<Record<string, unknown>>): string {
  return (data["waits"] as { readonly gates: readonly string[] }).gates[0] ?? "<id>";
}

function waiting(runId: string, gateId: string): string {
  return `The report is written, and run ${runId} waits for a human.

What is asked:     tidebase gates show ${gateId}
Decide here:       tidebase gates decide ${gateId} --approve   (or --reject)
On a page:         tidebase gates open ${gateId}
In your assistant: say "Show me the gates that wait, and let me decide."

No process waits meanwhile. After the decision, start this program again: it goes on from there.`;
}

function told({ status, decidedBy, note, to, sentTo }: Outcome): string {
  if (status === "sent") return `Sent to ${to} (${sentTo}), approved by ${decidedBy}.`;
  const why = note === null ? "" : `: ${note}`;
  return status === "expired"
    ? "Nobody decided in time. Nothing was sent."
    : `Rejected by ${decidedBy}${why}. Nothing was sent.`;
}

const tide = new Tidebase();
const workflow = tide.workflow(WORKFLOW, approvedReport);
try {
  console.log(told(await workflow.run(orderOf(values))));
} catch (error) {
  if (!isTidebaseError(error, "run_suspended")) throw error;
  console.log(waiting(String(error.data["runId"]), gateOf(error.data)));
} finally {
  await tide.close();
}
