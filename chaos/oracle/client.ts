import { Agent, request } from "undici";
import type { Effect } from "../history/evidence.ts";

const TIMEOUT_MS = 10_000;
/** Not the dispatcher of the client under test: the oracle is the world outside. */
const agent = new Agent({ connections: 16, headersTimeout: TIMEOUT_MS, bodyTimeout: TIMEOUT_MS });

/**
 * Tells the oracle at this address that a step's function has had its effect; resolves with its number among all
 * effects once it is on disk. Throws when the oracle does not answer.
 */
export async function effect(
  oracleUrl: string,
  happened: Omit<Effect, "seq" | "at">,
): Promise<number> {
  const { statusCode, body } = await request(`${oracleUrl}/effect`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(happened),
    dispatcher: agent,
  });
  const answer = (await body.json()) as { seq: number };
  if (statusCode !== 200) throw new Error(`The oracle answered ${statusCode}.`);
  return answer.seq;
}
