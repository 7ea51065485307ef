import { request as httpRequest, type IncomingMessage, type RequestOptions } from "node:http";
import { request as httpsRequest } from "node:https";
import { isIPv6, type LookupFunction, type Socket } from "node:net";
import { Webhook } from "standardwebhooks";
import {
  type AllowList,
  type Destination,
  isAllowed,
  type Resolve,
  readUrl,
} from "../webhooks/address.ts";

/** One attempt at one delivery. */
export interface Message {
  readonly url: string;
  /** Stays the same however often it is sent. */
  readonly deliveryId: string;
  readonly sentAt: string;
  /** The one now in use first; each signs. */
  readonly secrets: readonly string[];
  readonly body: string;
}

/** Why there was no answer; constant words, so that nothing of the receiver is stored. */
type SendError =
  | "url_refused"
  | "address_refused"
  | "name_not_resolved"
  | "connection_refused"
  | "connection_failed"
  | "connect_timeout"
  | "timeout"
  | "tls_failed"
  | "answer_malformed"
  | "message_failed"
  | "aborted";

/** What came of an attempt: the receiver's status, or why there is none. */
export interface Outcome {
  readonly status?: number;
  readonly error?: SendError;
  /** What the receiver asked for, unchecked. */
  readonly retryAfter?: string;
}

/** How a process reaches receivers. */
export interface Reach {
  readonly allow: AllowList;
  readonly resolve: Resolve;
  readonly signal: AbortSignal;
}

const CONNECT_MS = 5000;
const TOTAL_MS = 10_000;
const ANSWER_BYTES = 4096;
const LINGER_MS = 1000;

/** Known by name, so that whoever aborts can say why. */
class SendFailure extends Error {
  readonly reason: SendError;

  constructor(reason: SendError) {
    super(reason);
    this.reason = reason;
  }
}

/**
 * Sends once, signed as Standard Webhooks says. Answers within ten seconds, as soon as the status line
 * is there. Follows no redirect, uses no proxy, and judges the address again when it connects (model.md §12).
 */
export async function send(message: Message, reach: Reach): Promise<Outcome> {
  const destination = readUrl(message.url, reach.allow);
  if (typeof destination === "string") return { error: "url_refused" };
  if (reach.signal.aborted) return { error: "aborted" };
  try {
    return await exchange(destination, message, reach);
  } catch (error) {
    return { error: reasonOf(error, destination) };
  }
}

function exchange(destination: Destination, message: Message, reach: Reach): Promise<Outcome> {
  const { url, host, port, named } = destination;
  const guard = (address: string) => named || isAllowed(address, reach.allow);
  const options: RequestOptions & { autoSelectFamily: true } = {
    method: "POST",
    host,
    port,
    path: `${url.pathname}${url.search}`,
    headers: headersOf(message, url),
    agent: false,
    autoSelectFamily: true, // asks the lookup for all addresses, and tries them in turn
    lookup: guardedLookup(reach.resolve, guard),
  };
  return new Promise((resolve, reject) => {
    const request = url.protocol === "https:" ? httpsRequest(options) : httpRequest(options);
    const give = (reason: SendError) => () => request.destroy(new SendFailure(reason));
    const total = setTimeout(give("timeout"), TOTAL_MS).unref();
    const connect = setTimeout(give("connect_timeout"), CONNECT_MS).unref();
    const abort = give("aborted");
    reach.signal.addEventListener("abort", abort);
    const settle = () => {
      clearTimeout(total);
      clearTimeout(connect);
      reach.signal.removeEventListener("abort", abort);
    };
    request.once("socket", (socket: Socket) => {
      // Nothing was written yet: the request goes out when it is ended, and it is ended only here.
      socket.once("connect", () => {
        if (!guard(socket.remoteAddress ?? "")) give("address_refused")();
        else if (url.protocol === "http:") begin();
      });
      socket.once("secureConnect", begin);
    });
    const begin = () => {
      clearTimeout(connect);
      request.end(message.body);
    };
    request.once("response", (answer) => {
      settle();
      drain(answer);
      const retryAfter = answer.headers["retry-after"];
      resolve({
        status: answer.statusCode ?? 0,
        ...(retryAfter === undefined ? {} : { retryAfter }),
      });
    });
    request.on("error", (error) => {
      settle();
      reject(error);
    });
    // Whoever answers with an upgrade gets neither of the two.
    request.once("close", () => {
      settle();
      reject(new SendFailure("answer_malformed"));
    });
  });
}

function headersOf({ deliveryId, sentAt, secrets, body }: Message, url: URL) {
  const at = new Date(sentAt);
  return {
    host: url.host,
    "content-type": "application/json",
    "content-length": Buffer.byteLength(body),
    "user-agent": "tidebase",
    connection: "close",
    "webhook-id": deliveryId,
    "webhook-timestamp": String(Math.floor(at.getTime() / 1000)),
    "webhook-signature": secrets
      .map((secret) => new Webhook(secret).sign(deliveryId, at, body))
      .join(" "),
  };
}

/** All addresses of the name, when every one of them may be reached: one bad address spoils the name. */
function guardedLookup(resolve: Resolve, guard: (address: string) => boolean): LookupFunction {
  return (hostName, _, done) => {
    const refuse = (reason: SendError) => done(new SendFailure(reason), []);
    const answer = (addresses: readonly string[]) => {
      if (addresses.length === 0) refuse("name_not_resolved");
      else if (!addresses.every(guard)) refuse("address_refused");
      else
        done(
          null,
          addresses.map((address) => ({ address, family: isIPv6(address) ? 6 : 4 })),
        );
    };
    resolve(hostName).then(answer, () => refuse("name_not_resolved"));
  };
}

/** Takes a little of the answer, so that an honest receiver can finish it, and drops the rest. */
function drain(answer: IncomingMessage): void {
  let bytes = 0;
  const drop = () => answer.destroy();
  const timer = setTimeout(drop, LINGER_MS).unref();
  answer.on("data", (part: Buffer) => {
    bytes += part.length;
    if (bytes > ANSWER_BYTES) drop();
  });
  answer.on("error", () => {});
  answer.once("close", () => clearTimeout(timer));
}

function reasonOf(error: unknown, { url }: Destination): SendError {
  if (error instanceof SendFailure) return error.reason;
  const code = String(Reflect.get(Object(error), "code"));
  if (code === "ECONNREFUSED") return "connection_refused";
  if (code.startsWith("HPE_")) return "answer_malformed";
  const ofNetwork = ["ECONNRESET", "EPIPE", "EHOSTUNREACH", "ENETUNREACH", "ETIMEDOUT"];
  return url.protocol === "https:" && !ofNetwork.includes(code)
    ? "tls_failed"
    : "connection_failed";
}
