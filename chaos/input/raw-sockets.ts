import { connect, type Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import type { RawCase } from "./raw-cases.ts";
import type { Ledger } from "./rows.ts";

/** What a socket said until it was closed. */
interface Said {
  readonly text: string;
  readonly ms: number;
  /** By the server; else the client gave up waiting. */
  readonly closed: boolean;
}

const PATIENCE_MS = 20_000;
const GRACE_MS = 1000;

/** Writes the bytes and reads until the server closes. Latin-1, so that every byte is one character. */
export async function speak(
  url: string,
  bytes: string | Uint8Array,
  { ends = false, patienceMs = PATIENCE_MS } = {},
): Promise<Said> {
  const since = performance.now();
  const socket = await open(url);
  let text = "";
  socket.setEncoding("latin1").on("data", (part) => {
    text += part;
  });
  const closed = new Promise<boolean>((resolve) => socket.once("close", () => resolve(true)));
  if (typeof bytes === "string") socket.write(bytes, "latin1");
  else socket.write(bytes);
  if (ends) socket.end();
  const giveUp = new AbortController();
  const late = delay(patienceMs, false, { signal: giveUp.signal }).catch(() => false);
  let wasClosed = await Promise.race([closed, late]);
  // What came while this process was busy is read before it is called late.
  if (!wasClosed) wasClosed = await Promise.race([closed, delay(GRACE_MS, false)]);
  giveUp.abort();
  socket.destroy();
  return { text, ms: performance.now() - since, closed: wasClosed };
}

/** A connected socket whose loss is seen at its close. */
export function open(url: string): Promise<Socket> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve, reject) => {
    const socket = connect({ host: hostname, port: Number(port) });
    socket.once("error", reject);
    socket.once("connect", () => {
      socket.off("error", reject).on("error", () => {});
      resolve(socket);
    });
  });
}

/** The status of every answer in what a socket said. */
export function statusesOf(text: string): number[] {
  return [...text.matchAll(/^HTTP\/1\.1 (\d{3}) /gm)].map(([, status]) => Number(status));
}

/** Tries each on a socket of its own, a few at a time. */
export async function speakAll(
  url: string,
  cases: readonly RawCase[],
  ledger: Ledger,
): Promise<void> {
  const left = [...cases];
  await Promise.all(
    Array.from({ length: 4 }, async () => {
      for (let one = left.shift(); one !== undefined; one = left.shift())
        ledger.tried(one.row, await wrongOfRaw(url, one));
    }),
  );
}

async function wrongOfRaw(url: string, { title, bytes, right, ends }: RawCase) {
  const { text, closed } = await speak(url, bytes, { ends });
  const statuses = statusesOf(text);
  const last = statuses.at(-1) ?? 0;
  if (!right.includes(last))
    return `${title}: ${last} instead of ${right.join(" or ")}: ${JSON.stringify(text.slice(0, 200))}`;
  if (!closed && last >= 400) return `${title}: the socket stayed open after a refusal`;
  if (last >= 400 && !/content-type: application\/problem\+json/i.test(text))
    return `${title}: refused without a problem: ${JSON.stringify(text.slice(0, 200))}`;
  return statuses.some((status) => status >= 500) ? `${title}: ${statuses.join(", ")}` : undefined;
}
