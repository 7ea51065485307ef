import type { HttpClient } from "./client.ts";
import { type Execute, goodInput } from "./good-input.ts";
import { HOSTILE_TEXTS } from "./hostile.ts";
import type { Ledger } from "./rows.ts";

/** Texts that look like the lines of an event stream, in names that its events carry, make no event of their own. */
export async function forgedEvents(
  client: HttpClient,
  execute: Execute,
  webhookUrl: string,
  ledger: Ledger,
): Promise<void> {
  const known = await goodInput(execute, { name: "runs.get" }, { webhookUrl });
  const lease = { runId: known["runId"], epoch: known["epoch"], grantId: known["grantId"] };
  const names = HOSTILE_TEXTS.filter(
    (text) => text !== "" && text.length <= 200 && !/\0|\p{Surrogate}/u.test(text),
  );
  for (const name of names)
    await execute("steps.complete", { items: [{ ...lease, name, key: name, output: name }] });
  const message = names.join("\n").slice(0, 2000);
  await execute("steps.fail", { items: [{ ...lease, name: "last", error: {}, message }] });
  await execute("runs.complete", { items: [lease] });
  const { text } = await client.get(`/v1/runs/${String(lease.runId)}/events/stream`);
  const events = text.split("\n\n").filter((block) => !/^(?:: .*)?$/.test(block));
  const { events: stored } = await execute("events.list", { runId: lease.runId, limit: 1000 });
  for (const [n, block] of events.entries()) {
    const shape = /^id: (\d+)\nevent: [a-z._]+\ndata: (\{[^\n]*\})$/.exec(block);
    const right = shape !== null && Number(shape[1]) === n + 1 && isJson(shape[2] ?? "");
    ledger.tried(
      "B12",
      right ? undefined : `event ${n + 1} of a stream is ${JSON.stringify(block.slice(0, 300))}`,
    );
  }
  const count = (stored as unknown[]).length;
  ledger.tried(
    "B12",
    count === events.length ? undefined : `${events.length} of ${count} events were streamed`,
  );
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
