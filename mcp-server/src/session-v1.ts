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
import type { Form, FormAnswer } from "./form.ts";

/** What the SDK hands to the answering of one request. */
export type Extra = RequestHandlerExtra<ServerRequest, ServerNotification>;

/** The longest that a human may take, in milliseconds: the SDK's own minute is too short to read and decide. */
const PATIENCE_MS = 600_000;
const PROGRESS_MS = 5000;

/** Whether the client shows forms. An empty capability is that of clients older than other modes. */
export function formsOf(capabilities: ClientCapabilities | undefined): boolean {
  const { elicitation } = capabilities ?? {};
  if (elicitation === undefined) return false;
  return elicitation.form !== undefined || Object.keys(elicitation).length === 0;
}

/** Tells the client, when it gave a token to do so, that its call goes on; some give up otherwise. */
export function progressOf({ _meta, sendNotification }: Extra): (message: string) => void {
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
export function openTurns(): (extra: Extra, asking: Asking) => Promise<FormAnswer> {
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
