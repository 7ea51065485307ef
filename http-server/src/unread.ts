import type { IncomingMessage, ServerResponse } from "node:http";
import type { Socket } from "node:net";

/** What a client still sends after its answer is read and thrown away: for so long, with no longer pause, … */
const LINGER_MS = 30_000;
const PAUSE_MS = 5000;
/** … and no more than this, in bytes. */
const LINGER_BYTES = 64 * 1_048_576;

/** Sockets whose last answer has been announced. */
const closing = new WeakSet<Socket>();

/** Whether no request is taken from this socket any more (RFC 9112 §9.6). */
export function isClosing(socket: Socket): boolean {
  return closing.has(socket);
}

/**
 * An answer that is given before its request has come in full is the last one on its connection, and says so:
 * else the rest of the body would stand between the client and its next answer. The connection then closes such
 * that the client can read this one.
 */
export function closeWhenUnread(incoming: IncomingMessage, outgoing: ServerResponse): void {
  const { headers } = incoming;
  const bytes = Number(headers["content-length"] ?? 0);
  if (bytes === 0 && headers["transfer-encoding"] === undefined) return;
  const writeHead = outgoing.writeHead.bind(outgoing) as (...given: unknown[]) => ServerResponse;
  // The one moment at which it is known whether the body was complete before the answer, whoever answers.
  outgoing.writeHead = (...given: unknown[]) => {
    // A body that nobody reads is there before Node says so.
    if (!incoming.complete && (bytes === 0 || incoming.readableLength < bytes)) {
      outgoing.setHeader("connection", "close");
      closing.add(incoming.socket);
      closeWhenRead(incoming.socket);
      incoming.resume(); // the reader of a body over the limit has left
    }
    return writeHead(...given);
  };
}

/**
 * Makes Node's close after the last answer a lingering one: our side ends, and what comes is thrown away until the
 * client ends too. A socket that is closed with bytes unread is reset, and a reset eats the answer. Asked twice,
 * as when the server stops, it goes at once.
 */
function closeWhenRead(socket: Socket): void {
  let lingers = false;
  socket.destroySoon = () => {
    if (lingers) socket.destroy();
    else linger(socket);
    lingers = true;
  };
}

/** Ends our side and lets what comes pass by, until the client ends too, pauses for too long or sends too much. */
export function linger(socket: Socket): void {
  const [began, had] = [performance.now(), socket.bytesRead];
  let [heard, known] = [began, had];
  const look = () => {
    const [now, read] = [performance.now(), socket.bytesRead];
    if (read > known) [heard, known] = [now, read];
    if (now - began > LINGER_MS || now - heard > PAUSE_MS || read - had > LINGER_BYTES)
      socket.destroy();
  };
  const looking = setInterval(look, PAUSE_MS / 10).unref();
  socket.once("close", () => clearInterval(looking));
  socket.end();
}
