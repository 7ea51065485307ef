import { noObjects, tooMuch } from "./body-requests.ts";
import type { Known } from "./cases.ts";
import type { HttpClient } from "./client.ts";
import type { FixedRequest } from "./fixed-request.ts";
import { wrongOf } from "./http-call.ts";
import type { Ledger } from "./rows.ts";
import { strangeTexts } from "./text-requests.ts";
import { strangeUrls } from "./url-requests.ts";
import {
  strangeCrons,
  strangeMoments,
  strangeNumbers,
  strangePositions,
} from "./value-requests.ts";

/** Longer than this no single answer may take on however busy a machine; the watch on the health is stricter. */
const ANSWER_MS = 20_000;

/**
 * Everything that is tried by hand over HTTP, about the run of a good call: each answer is held against what is
 * right, and a lost connection is wrong.
 */
export async function sendFixed(
  client: HttpClient,
  known: Known,
  webhookUrl: string,
  ledger: Ledger,
): Promise<void> {
  const runId = String(known["runId"]);
  const held = { runId, epoch: known["epoch"], grantId: known["grantId"] };
  const requests = [
    ...noObjects(),
    ...tooMuch(held),
    ...strangeTexts(runId),
    ...strangeNumbers(runId),
    ...strangeMoments(held),
    ...strangeCrons(),
    ...strangePositions(runId),
    ...strangeUrls(webhookUrl),
  ];
  for (const request of requests) ledger.tried(request.row, await wrongOfFixed(client, request));
}

async function wrongOfFixed(
  client: HttpClient,
  { title, method, path, headers, body, right }: FixedRequest,
): Promise<string | undefined> {
  const about = `${title} (${method} ${path.slice(0, 80)})`;
  const since = performance.now();
  try {
    const answer =
      method === "POST"
        ? await client.post(path, body, headers)
        : await client.send({ method, path, body: undefined }, headers);
    const ms = performance.now() - since;
    const wrong = wrongOf(answer);
    if (wrong !== undefined) return `${about}: ${wrong}`;
    if (!right.includes(answer.status))
      return `${about}: ${answer.status} instead of ${right.join(" or ")}: ${answer.text.slice(0, 200)}`;
    return ms > ANSWER_MS ? `${about}: the answer took ${Math.round(ms)} ms` : undefined;
  } catch (error) {
    return `${about}: no answer (${String(error)})`;
  }
}
