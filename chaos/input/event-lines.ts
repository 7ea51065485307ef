import type { HttpClient } from "./client.ts";
import { type Execute, goodInput } from "./good-input.ts";
import { HOSTILE_TEXTS } from "./hostile.ts";
import type { RawCaller } from "./raw-cases.ts";
import { speak, statusesOf } from "./raw-sockets.ts";
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

/** Longer than a reader waits for what is there; shorter than a heartbeat. */
const WAITED_MS = 1500;

/** A reader who has more than there is waits for the rest: it is told nothing and not sent away. */
export async function readBeyond(url: string, caller: RawCaller, ledger: Ledger): Promise<void> {
  const head = `host: localhost\r\nauthorization: ${caller.authorization}\r\n`;
  for (const after of ["999999", "999999999999999"]) {
    const path = `/v1/runs/${caller.runId}/events/stream?after=${after}`;
    const said = await speak(url, `GET ${path} HTTP/1.1\r\n${head}\r\n`, { patienceMs: WAITED_MS });
    const [status] = statusesOf(said.text);
    const right = status === 200 && !said.closed && !/^(?:id|data):/m.test(said.text);
    ledger.tried(
      "B20",
      right ? undefined : `after ${after}: ${JSON.stringify(said.text.slice(0, 300))}`,
    );
  }
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
