import { buildConnector, Pool } from "undici";
import { headersOf, retryAfter, type Transport, type TransportOptions } from "./transport.ts";

const CONNECTIONS = 8;

/** Keeps a few connections; an idle one does not keep the process alive. */
export function undiciTransport(options: TransportOptions): Transport {
  const { origin, pathname } = new URL(options.url);
  const base = pathname === "/" ? "" : pathname;
  const pool = new Pool(origin, { connections: CONNECTIONS, connect: { timeout: 10_000 } });
  // Streams stay open for hours: each has a connection of its own, so that no call waits behind one.
  const streams = new Pool(origin, { connect: { timeout: 10_000 } });
  const quiet = new Pool(origin, { connect: unreferenced() });
  const headers = headersOf(options);
  const posted = { ...headers, "content-type": "application/json" };
  return {
    async send(method, path, body, timeoutMs, poll) {
      const long = poll?.keepsAlive === false ? quiet : streams;
      const answer = await (poll === undefined ? pool : long).request({
        method,
        path: base + path,
        headers: body === null ? headers : posted,
        body,
        headersTimeout: timeoutMs,
        bodyTimeout: timeoutMs,
        signal: poll?.signal ?? null,
      });
      return {
        status: answer.statusCode,
        text: await answer.body.text(),
        ...retryAfter(one(answer.headers["retry-after"])),
      };
    },
    async open(path, more, idleMs, signal) {
      const answer = await streams.request({
        method: "GET",
        path: base + path,
        headers: { ...headers, ...more },
        headersTimeout: idleMs,
        bodyTimeout: idleMs,
        signal,
      });
      return { status: answer.statusCode, chunks: answer.body };
    },
    async close() {
      await Promise.all([pool.close(), streams.destroy(), quiet.destroy()]);
    },
  };
}

/** Connections that never keep the process alive, not even while an answer is waited for. */
function unreferenced(): buildConnector.connector {
  const connect = buildConnector({ timeout: 10_000 });
  return (options, callback) =>
    connect(options, (...connected) => {
      const [failure, socket] = connected;
      if (failure === null) {
        socket.ref = () => socket;
        socket.unref();
      }
      callback(...connected);
    });
}

function one(header: string | string[] | undefined): string | undefined {
  return Array.isArray(header) ? header[0] : header;
}
