import type { ServerResponse } from "node:http";
import {
  ByteLengthQueuingStrategy,
  ReadableStream,
  type ReadableStreamDefaultController,
} from "node:stream/web";
import { type Core, type RunEvent, TidebaseError, toJson } from "@tidebase/core";

/** A comment every 15 s keeps proxies from cutting a quiet stream (model.md §5). */
export const HEARTBEAT_MS = 15_000;

/** Unsent bytes from which on no more events are read from the store for this reader. */
const BACKLOG_BYTES = 1_048_576;

/** How soon a reader that was sent away shall come back, in milliseconds. */
const RETRY = "retry: 1000\n\n";

const HEADERS = {
  "content-type": "text/event-stream",
  "cache-control": "no-store",
  "x-accel-buffering": "no",
};

const WHOLE = /^\d{1,15}$/;
type Controller = ReadableStreamDefaultController<Uint8Array>;

const utf8 = new TextEncoder();

/** Whose events to whom, and from where on. */
export interface StreamOptions {
  readonly runId: string;
  /** The reader has every event up to this number. */
  readonly afterSeq: number;
  readonly heartbeatMs: number;
  /** Aborted when the server stops: the reader is told to come back. */
  readonly stopping: AbortSignal | undefined;
  /** The socket's side of the answer, where there is one; a dead reader's is cut. */
  readonly outgoing: ServerResponse | undefined;
  /** Told of a reader that is sent away because it does not read. */
  readonly onSlow: () => void;
  readonly onLost: (error: unknown) => void;
}

/** Where the reader left off: `Last-Event-ID` when it reconnects, else `?after=`. Throws `input_invalid`. */
export function readPosition(request: Request): number {
  const header = request.headers.get("last-event-id");
  const query = new URL(request.url).searchParams.get("after");
  const text = header ?? query ?? "0";
  if (WHOLE.test(text)) return Number(text);
  const path = header === null ? "after" : "last-event-id";
  throw new TidebaseError("input_invalid", {
    issues: [{ path, message: "must be the number of an event" }],
  });
}

/** The answer to one reader: the run's events as they are committed, each once and in order. */
export function streamEvents(core: Core, options: StreamOptions): Response {
  const reader = new AbortController();
  const queue = new ByteLengthQueuingStrategy({ highWaterMark: BACKLOG_BYTES });
  let drained = () => {};
  const start = (controller: Controller) => {
    void send(core, options, controller, reader, (call) => {
      drained = call;
    });
  };
  const source = { start, pull: () => drained(), cancel: () => reader.abort() };
  return new Response(new ReadableStream<Uint8Array>(source, queue), { headers: HEADERS });
}

/** The headers alone, for HEAD. */
export function streamHead(): Response {
  return new Response(null, { headers: HEADERS });
}

async function send(
  core: Core,
  { runId, afterSeq, heartbeatMs, stopping, outgoing, onSlow, onLost }: StreamOptions,
  controller: Controller,
  reader: AbortController,
  onDrained: (call: () => void) => void,
): Promise<void> {
  let parting = ": the run has ended\n\n";
  let stalledBeats = 0;
  const write = (text: string) => {
    if (!reader.signal.aborted) controller.enqueue(utf8.encode(text)); // a reader that has left closed it
  };
  const leave = () => {
    parting = RETRY;
    reader.abort();
  };
  const beat = setInterval(() => {
    if ((controller.desiredSize ?? 0) === BACKLOG_BYTES && !isBlocked(outgoing)) {
      stalledBeats = 0;
      write(": \n\n");
    } else if (++stalledBeats === 2) {
      onSlow();
      leave();
    }
  }, heartbeatMs);
  stopping?.addEventListener("abort", leave);
  if (stopping?.aborted === true) leave();
  try {
    for await (const batch of core.follow(runId, afterSeq, reader.signal)) {
      write(batch.map(message).join(""));
      if ((controller.desiredSize ?? 0) <= 0) await untilDrained(onDrained, reader.signal);
    }
  } catch (error) {
    parting = RETRY;
    onLost(error);
  } finally {
    clearInterval(beat);
    stopping?.removeEventListener("abort", leave);
    close(controller, parting);
    cutWhenDead(outgoing, 2 * heartbeatMs);
  }
}

/** The socket takes no more bytes: the reader does not read. */
function isBlocked(outgoing: ServerResponse | undefined): boolean {
  return outgoing?.writableNeedDrain === true;
}

function message(event: RunEvent): string {
  const data = toJson(event).replace(/\r\n|\r|\n/g, "\ndata: ");
  return `id: ${event.seq}\nevent: ${event.type}\ndata: ${data}\n\n`;
}

function untilDrained(onDrained: (call: () => void) => void, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    onDrained(resolve);
    signal.addEventListener("abort", () => resolve(), { once: true });
    if (signal.aborted) resolve();
  });
}

function close(controller: Controller, parting: string): void {
  try {
    controller.enqueue(utf8.encode(parting));
    controller.close();
  } catch {
    // the reader cancelled: nobody is left to tell
  }
}

/** What waits in the socket of a reader that reads nothing would wait there for ever. */
function cutWhenDead(outgoing: ServerResponse | undefined, graceMs: number): void {
  if (outgoing === undefined) return;
  const timer = setTimeout(() => outgoing.destroy(), graceMs).unref();
  outgoing.once("close", () => clearTimeout(timer));
}
