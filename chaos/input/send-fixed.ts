import { noObjects, tooMuch } from "./body-requests.ts";
import type { Known } from "./cases.ts";
import type { HttpClient } from "./client.ts";
import type { FixedRequest } from "./fixed-request.ts";
import { wrongOf } from "./http-call.ts";
import { nothings } from "./nothing-requests.ts";
import { strangeTexts } from "./text-requests.ts";
import { unchanged, type Watched } from "./untouched.ts";
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
 * right, and a lost connection is wrong. Those that must be refused come last, by row: they change nothing.
 */
export async function sendFixed(
  client: HttpClient,
  known: Known,
  webhookUrl: string,
  watched: Watched,
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
    ...nothings(runId),
  ];
  const send = async (some: readonly FixedRequest[]) => {
    for (const one of some) watched.ledger.tried(one.row, await wrongOfFixed(client, one));
  };
  const mustBeRefused = ({ right }: FixedRequest) => right.every((status) => status >= 400);
  await send(requests.filter((one) => !mustBeRefused(one)));
  const refused = requests.filter(mustBeRefused);
  for (const row of new Set(refused.map((one) => one.row)))
    await unchanged(watched, row, "refused requests", () =>
      send(refused.filter((one) => one.row === row)),
    );
}

async function wrongOfFixed(
  client: HttpClient,
  { title, method, path, headers, body, right, says = "" }: FixedRequest,
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
    if (!answer.text.includes(says))
      return `${about}: no ${says} in the answer ${answer.text.slice(0, 200)}`;
    return ms > ANSWER_MS ? `${about}: the answer took ${Math.round(ms)} ms` : undefined;
  } catch (error) {
    return `${about}: no answer (${String(error)})`;
  }
}
