import { ReadableStream } from "node:stream/web";
import { setTimeout as delay } from "node:timers/promises";
import { WebStandardStreamableHTTPServerTransport } from "@modelcontextprotocol/sdk/server/webStandardStreamableHttp.js";
import type { Transport } from "@modelcontextprotocol/sdk/shared/transport.js";
import {
  CancelledNotificationSchema,
  isJSONRPCErrorResponse,
  isJSONRPCResultResponse,
  type JSONRPCMessage,
  type RequestId,
} from "@modelcontextprotocol/sdk/types.js";
import type { ToolServer } from "../adapter-v1.ts";
import { CUT_SHORT, idInUse } from "./refusals.ts";

/** One client's conversation: a server and a transport of its own, so that no ids of two clients meet. */
export interface HttpSession {
  readonly id: string;
  /** Answers one HTTP request of this session; `body` is the message of a POST. */
  answer(request: Request, body: object | undefined): Promise<Response>;
  /** Whether an answer or a stream is still being written. */
  isBusy(): boolean;
  /** Ends it now; calls under way are taken back and get no answer. */
  end(): Promise<void>;
  /** Lets calls under way end by themselves for so long, answers the others, and ends. */
  windUp(graceMs: number): Promise<void>;
}

/** Whose end is told, however it came about. */
interface HttpSessionOptions {
  readonly id: string;
  readonly onEnd: () => void;
  /** Told whenever the last answer has been written. */
  readonly onIdle: () => void;
}

/** Begins a session: the first request it answers has to be `initialize`. */
export function openHttpSession(
  server: ToolServer,
  { id, onEnd, onIdle }: HttpSessionOptions,
): HttpSession {
  // Without an event store: every answer may be asked for again, and none is kept in memory meanwhile.
  const transport = new WebStandardStreamableHTTPServerTransport({ sessionIdGenerator: () => id });
  const unanswered = watchAnswers(transport);
  let open = 0;
  let ending: Promise<void> | undefined;
  const end = (): Promise<void> => (ending ??= server.close().catch(() => {}));
  transport.onclose = () => {
    onEnd();
    void end(); // a DELETE closes the transport alone
  };
  const connected = server.connect(transport as Transport);
  const left = () => {
    open -= 1;
    if (open === 0) onIdle();
  };

  async function answer(request: Request, body: object | undefined): Promise<Response> {
    open += 1;
    try {
      await connected;
      const called = idOfCall(body);
      if (called !== undefined && unanswered.has(called)) return untilRead(idInUse(), left);
      if (called !== undefined) unanswered.add(called);
      const response = await transport.handleRequest(request, { parsedBody: body });
      if (called !== undefined && !response.ok) unanswered.delete(called);
      const cancelled = CancelledNotificationSchema.safeParse(body).data?.params.requestId;
      if (cancelled !== undefined && unanswered.delete(cancelled))
        transport.closeSSEStream(cancelled); // a call that was taken back is never answered
      return untilRead(response, left);
    } catch (error) {
      left();
      throw error;
    }
  }

  async function windUp(graceMs: number): Promise<void> {
    transport.closeStandaloneSSEStream();
    await Promise.race([server.idle(), delay(graceMs, undefined, { ref: false })]);
    for (const call of unanswered)
      await transport.send({ jsonrpc: "2.0", id: call, error: CUT_SHORT }).catch(() => {}); // it has left
    await end();
  }
  return { id, answer, isBusy: () => open > 0, end, windUp };
}

/** Ids of the calls that the client still waits for. */
function watchAnswers(transport: WebStandardStreamableHTTPServerTransport): Set<RequestId> {
  const unanswered = new Set<RequestId>();
  const send = transport.send.bind(transport);
  transport.send = async (message, options) => {
    if (isAnswer(message) && message.id !== undefined) unanswered.delete(message.id);
    await send(message, options);
  };
  return unanswered;
}

function isAnswer(
  message: JSONRPCMessage,
): message is Extract<JSONRPCMessage, { result: unknown } | { error: unknown }> {
  return isJSONRPCResultResponse(message) || isJSONRPCErrorResponse(message);
}

function idOfCall(body: object | undefined): RequestId | undefined {
  if (body === undefined || !("method" in body) || !("id" in body)) return undefined;
  const { id } = body;
  return typeof id === "string" || typeof id === "number" ? id : undefined;
}

/** The same answer; tells when it has been read to its end or its reader has left. */
function untilRead(response: Response, told: () => void): Response {
  if (response.body === null) {
    told();
    return response;
  }
  const reader = response.body.getReader();
  let done = false;
  const finish = () => {
    if (!done) told();
    done = true;
  };
  const body = new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        try {
          const part = await reader.read();
          if (!part.done) return controller.enqueue(part.value);
          finish();
          controller.close();
        } catch (error) {
          finish(); // else the session would be in use for ever
          throw error;
        }
      },
      async cancel(reason) {
        finish();
        await reader.cancel(reason);
      },
    },
    { highWaterMark: 0 },
  );
  return new Response(body, response);
}
