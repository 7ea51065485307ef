import { createParser } from "eventsource-parser";
import type { Connection } from "../connection.ts";
import { TidebaseError } from "../errors.ts";
import type { Operations } from "../operations.gen.ts";
import { pauseMs, sleep } from "../pause.ts";
import { refusal, unreachable } from "../transport/calls.ts";
import type { Stream } from "../transport/transport.ts";

/** Something that happened to a run; `seq` numbers them from 1 without gap. */
export type RunEvent = Operations["events.list"]["output"]["events"][number];

/** Which events, and until when. */
export interface EventOptions {
  /** Only events after this number. Default 0: from the beginning. */
  readonly afterSeq?: number;
  /** Ends the iteration. */
  readonly signal?: AbortSignal;
}

/** The server writes a comment every 15 seconds: a longer silence is a broken connection. */
const IDLE_MS = 45_000;
const FINAL = new Set(["run.completed", "run.cancelled"]);

/**
 * The events of a run as they happen, each once and in order; ends after the final one. A broken
 * connection is opened again where it broke off, until nothing has answered for `giveUpAfterMs`.
 */
export async function* followEvents(
  { transport, config }: Connection,
  runId: string,
  { afterSeq = 0, signal = new AbortController().signal }: EventOptions,
): AsyncGenerator<RunEvent, void, undefined> {
  const path = `/v1/runs/${encodeURIComponent(runId)}/events/stream`;
  let seq = afterSeq;
  let attempt = 0;
  let heardAt = performance.now();
  while (!signal.aborted) {
    let retryMs = 0;
    try {
      const headers = { accept: "text/event-stream", "last-event-id": String(seq) };
      const stream = await transport.open(path, headers, IDLE_MS, signal);
      if (stream.status === 204) return;
      if (stream.status !== 200) throw await refused(stream);
      heardAt = performance.now();
      const hint = (ms: number) => {
        retryMs = ms;
      };
      for await (const event of parsed(stream.chunks, hint)) {
        heardAt = performance.now();
        attempt = 0;
        if (event.seq <= seq) continue;
        seq = event.seq;
        yield event;
        if (FINAL.has(event.type)) return;
      }
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof TidebaseError && !isPassing(error)) throw error;
      if (performance.now() - heardAt > config.giveUpAfterMs)
        throw error instanceof TidebaseError ? error : unreachable(config.url, error, IDLE_MS);
    }
    attempt += 1;
    await sleep(Math.max(retryMs, pauseMs(attempt)), signal).catch(() => {});
  }
}

async function* parsed(
  chunks: Stream["chunks"],
  onRetry: (ms: number) => void,
): AsyncGenerator<RunEvent> {
  const events: RunEvent[] = [];
  const parser = createParser({
    onEvent: ({ data }) => void events.push(JSON.parse(data) as RunEvent),
    onRetry,
  });
  const decoder = new TextDecoder();
  for await (const chunk of chunks) {
    parser.feed(decoder.decode(chunk, { stream: true }));
    yield* events.splice(0);
  }
}

async function refused({ status, chunks }: Stream): Promise<TidebaseError> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const chunk of chunks) text += decoder.decode(chunk, { stream: true });
  return refusal({ status, text });
}

function isPassing({ code, data }: TidebaseError): boolean {
  return (
    data["retry"] === true || (code === "server_answer_invalid" && Number(data["status"]) >= 500)
  );
}
