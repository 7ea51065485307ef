import { setImmediate } from "node:timers/promises";
import type { Server } from "@modelcontextprotocol/sdk/server/index.js";
import type { RequestHandlerExtra } from "@modelcontextprotocol/sdk/shared/protocol.js";
import {
  type ClientCapabilities,
  type ElicitRequestFormParams,
  ElicitResultSchema,
  ErrorCode,
  McpError,
  type ServerNotification,
  type ServerRequest,
} from "@modelcontextprotocol/sdk/types.js";
import type { Backend } from "@tidebase/core";
import type { Connection, LazyConnection, StoreInfo } from "./connection.ts";
import { ProtocolError } from "./error-v1.ts";
import type { Form, FormAnswer } from "./form.ts";
import type { ToolContext, ToolDefinition } from "./tool.ts";
import { badArguments, type ToolError, toToolError } from "./tool-error.ts";
import { unknownTool } from "./tools/unknown-tool.ts";

/** What the SDK hands to the answering of one request. */
type Extra = RequestHandlerExtra<ServerRequest, ServerNotification>;

/** What is common to all that one client asks for. */
export interface Session {
  readonly server: Server;
  backend(): Promise<Backend>;
  /** What the tool of this name answers to these arguments. */
  answer(tool: string, given: unknown, extra: Extra): Promise<object>;
  /** Does the work as a call that `idle` waits for; `failed` says what a failure is answered with. */
  doing<Result>(
    extra: Extra,
    work: () => Promise<Result>,
    failed?: (error: ToolError) => Result,
  ): Promise<Result>;
  readonly onError: ((error: unknown) => void) | undefined;
  /** Resolves when no call is being answered. */
  idle(): Promise<void>;
}

/** What a session works with. */
interface SessionOptions {
  readonly tools: readonly ToolDefinition[];
  readonly connection: LazyConnection;
  readonly ownRunId?: string | undefined;
  readonly onError?: ((error: unknown) => void) | undefined;
}

/** The session of the one client of this server; the store is opened when something first needs it. */
export function openSession(server: Server, options: SessionOptions): Session {
  const { tools, connection, ownRunId, onError } = options;
  const calls = new Set<Promise<unknown>>();
  const ask = openTurns();
  let store: StoreInfo | undefined;

  async function open(): Promise<Connection> {
    const opened = await connection.get();
    store = opened.store;
    return opened;
  }

  function contextOf(opened: Connection, extra: Extra): ToolContext {
    const progress = progressOf(extra);
    return {
      backend: opened.backend,
      store: opened.store,
      client: { forms: formsOf(server.getClientCapabilities()) },
      ownRunId,
      signal: extra.signal,
      progress,
      ask: (prepare) => ask(extra, { prepare, progress }),
    };
  }

  return {
    server,
    onError,
    backend: async () => (await open()).backend,
    async answer(name, given, extra) {
      const tool = tools.find((candidate) => candidate.name === name);
      if (tool === undefined) throw unknownTool(name, tools);
      const input = parse(tool, given);
      return { ...(await tool.handler(input, contextOf(await open(), extra))) };
    },
    doing({ signal }, work, failed = protocolError) {
      const answered = work().catch((error: unknown) => {
        if (!signal.aborted) onError?.(error);
        return failed(toToolError(error, store));
      });
      const call = answered.finally(() => calls.delete(call));
      calls.add(call);
      return call;
    },
    async idle() {
      while (calls.size > 0) await Promise.allSettled(calls);
      await setImmediate(); // the last answer is handed to the transport after its call has ended
    },
  };
}

function protocolError(error: ToolError): never {
  throw new ProtocolError(error);
}

function parse(tool: ToolDefinition, given: unknown): Record<string, unknown> {
  const parsed = tool.input.safeParse(given ?? {});
  if (parsed.success) return parsed.data;
  throw badArguments(tool.input, parsed.error);
}

/** The longest that a human may take, in milliseconds: the SDK's own minute is too short to read and decide. */
const PATIENCE_MS = 600_000;
const PROGRESS_MS = 5000;

/** Whether the client shows forms. An empty capability is that of clients older than other modes. */
function formsOf(capabilities: ClientCapabilities | undefined): boolean {
  const { elicitation } = capabilities ?? {};
  if (elicitation === undefined) return false;
  return elicitation.form !== undefined || Object.keys(elicitation).length === 0;
}

/** Tells the client, when it gave a token to do so, that its call goes on; some give up otherwise. */
function progressOf({ _meta, sendNotification }: Extra): (message: string) => void {
  const progressToken = _meta?.progressToken;
  let progress = 0;
  return (message) => {
    if (progressToken === undefined) return;
    progress += 1;
    const params = { progressToken, progress, message };
    sendNotification({ method: "notifications/progress", params }).catch(() => {}); // nobody is there
  };
}

interface Asking {
  prepare(): Promise<Form>;
  progress(message: string): void;
}

/** Asks one human one thing at a time; see ToolContext. */
function openTurns(): (extra: Extra, asking: Asking) => Promise<FormAnswer> {
  let last: Promise<unknown> = Promise.resolve();
  return (extra, asking) => {
    const turn = last.then(() => ask(extra, asking));
    last = turn.catch(() => {});
    return turn;
  };
}

async function ask(extra: Extra, { prepare, progress }: Asking): Promise<FormAnswer> {
  extra.signal.throwIfAborted();
  const { message, properties, required, expiresAt } = await prepare();
  const requestedSchema = { type: "object", properties, required };
  const tell = (): void => progress("Waiting for the human to answer the form.");
  tell();
  const telling = setInterval(tell, PROGRESS_MS);
  const since = performance.now();
  try {
    // Not `elicitInput`: it holds the answer against the schema and tells what is wrong with an error.
    const { action, content } = await extra.sendRequest(
      {
        method: "elicitation/create",
        params: { message, requestedSchema } as ElicitRequestFormParams,
      },
      ElicitResultSchema,
      { timeout: patienceFor(expiresAt), signal: extra.signal },
    );
    if (action === "accept") return { action, content: content ?? {} };
    return { action, tookMs: performance.now() - since };
  } catch (error) {
    extra.signal.throwIfAborted();
    const late = error instanceof McpError && error.code === ErrorCode.RequestTimeout;
    return { action: "none", because: late ? "timeout" : "failed" };
  } finally {
    clearInterval(telling);
  }
}

/**
 * Milliseconds until the form decides nothing any more. One that is past already tells that the store's
 * clock is another than this machine's: then nothing is known of its end.
 */
function patienceFor(expiresAt: string): number {
  const left = Date.parse(expiresAt) - Date.now();
  return left > 0 ? Math.min(left, PATIENCE_MS) : PATIENCE_MS;
}
