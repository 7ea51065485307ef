import type { Connection } from "../connection.ts";
import type { Encoded } from "../encoding/encoding.ts";
import { TidebaseError } from "../errors.ts";
import { type Lease, lossOf } from "../leases/lease.ts";

/**
 * Ends the run with what its workflow returned; ends of the same moment share a request. Throws
 * `payload_too_large`, and how the lease was lost.
 */
export async function recordResult(
  { lanes }: Connection,
  lease: Lease,
  { json, meta }: Encoded,
  more: object,
): Promise<void> {
  const members = JSON.stringify({ ...lease, ...more }).slice(0, -1);
  const notes = meta === null ? "" : `,"resultMeta":${meta}`;
  const { outcome, limitBytes } = await lanes.completeRun(`${members},"result":${json}${notes}}`);
  if (outcome === "completed") return;
  const { runId } = lease;
  if (outcome === "result_too_large") throw tooLarge(runId, json.length, limitBytes);
  if (outcome !== "input_refused") throw lossOf(outcome, runId);
  throw new TidebaseError(outcome, `The result of run ${runId} cannot be stored as it is.`, {
    runId,
  });
}

function tooLarge(runId: string, characters: number, limitBytes: number | undefined) {
  const says = `The result of run ${runId} has ${characters} characters, more than the limit of ${limitBytes} bytes. Store it elsewhere and return its address.`;
  return new TidebaseError("payload_too_large", says, { runId, limitBytes });
}
