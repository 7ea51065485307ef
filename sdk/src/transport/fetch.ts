import type { ReadableStream } from "node:stream/web";
import { headersOf, retryAfter, type Transport, type TransportOptions } from "./transport.ts";

/** For runtimes with a good fetch of their own, and for callers that bring one. */
export function fetchTransport(options: TransportOptions): Transport {
  const ask = options.fetch ?? fetch;
  const headers = headersOf(options);
  return {
    async send(method, path, body, timeoutMs, poll) {
      const time = poll === undefined ? undefined : recallable(timeoutMs, poll.signal);
      try {
        const answer = await ask(options.url + path, {
          method,
          body,
          headers: body === null ? headers : { ...headers, "content-type": "application/json" },
          signal: time?.signal ?? AbortSignal.timeout(timeoutMs),
        });
        return {
          status: answer.status,
          text: await answer.text(),
          ...retryAfter(answer.headers.get("retry-after")),
        };
      } finally {
        time?.end();
      }
    },
    async open(path, more, idleMs, signal) {
      const silence = silenceWatch(idleMs, signal);
      const answer = await ask(options.url + path, {
        headers: { ...headers, ...more },
        signal: silence.signal,
      });
      return { status: answer.status, chunks: chunksOf(answer.body, silence) };
    },
    close: async () => {},
  };
}

/** Aborted when the time is over, or with the other signal. */
function recallable(timeoutMs: number, signal: AbortSignal) {
  const controller = new AbortController();
  const recall = () => controller.abort(signal.reason);
  const late = () =>
    controller.abort(Object.assign(new Error("No answer in time."), { name: "TimeoutError" }));
  const timer = setTimeout(late, timeoutMs);
  if (signal.aborted) recall();
  signal.addEventListener("abort", recall, { once: true });
  return {
    signal: controller.signal,
    end() {
      clearTimeout(timer);
      signal.removeEventListener("abort", recall);
    },
  };
}

interface SilenceWatch {
  readonly signal: AbortSignal;
  heard(): void;
  end(): void;
}

function silenceWatch(idleMs: number, signal: AbortSignal): SilenceWatch {
  const controller = new AbortController();
  const abort = () => controller.abort(signal.reason);
  signal.addEventListener("abort", abort, { once: true });
  const tooLong = () => controller.abort(new Error(`No byte for ${idleMs} ms.`));
  let timer = setTimeout(tooLong, idleMs);
  return {
    signal: controller.signal,
    heard() {
      clearTimeout(timer);
      timer = setTimeout(tooLong, idleMs);
    },
    end() {
      clearTimeout(timer);
      signal.removeEventListener("abort", abort);
    },
  };
}

async function* chunksOf(
  body: ReadableStream<Uint8Array> | null,
  silence: SilenceWatch,
): AsyncGenerator<Uint8Array> {
  const reader = body?.getReader();
  try {
    while (reader !== undefined) {
      const { done, value } = await reader.read();
      if (done) return;
      silence.heard();
      yield value;
    }
  } finally {
    silence.end();
    await reader?.cancel().catch(() => {});
  }
}
