import { isTidebaseError } from "../errors.ts";
import { lineOf, recordFailure } from "../failure.ts";
import { tell } from "../unheard.ts";
import { Remembered } from "./remembered.ts";
import { type Refused, refused, type Verified, verifierOf, type WebhookMessage } from "./verify.ts";

/** How a webhook endpoint handles what Tidebase sends. */
export interface WebhookOptions {
  /** The webhook's secret (`whsec_…`); two while one is replaced by another. */
  readonly secret: string | readonly string[];
  /** Given every message but `run.invoke`. When it throws, the message comes again. */
  readonly onEvent?: (message: WebhookMessage) => void | Promise<void>;
  /**
   * Given the work that goes on after the answer, for platforms that freeze a process once it has
   * answered.
   */
  readonly waitUntil?: (work: Promise<void>) => void;
  /** Told why a run was not resumed, or failed, and what `onEvent` threw. Default: the client's log. */
  readonly onError?: (error: unknown, message: WebhookMessage) => void;
}

/** Fetch-style, as most frameworks and platforms take it. */
export type WebhookHandler = (request: Request) => Promise<Response>;

/** What the handler needs of its client. */
export interface Invoker {
  isRegistered(workflow: string): boolean;
  /** `onBegun` is called once the run is held, or found completed; resolves or rejects at its end. */
  resume(runId: string, onBegun: () => void): Promise<unknown>;
  log(line: string): void;
}

/**
 * They say that the run is in good hands, or needs none. A run that is back in its queue was invoked too
 * late: another message follows.
 */
const QUIET = [
  "run_suspended",
  "run_leased",
  "run_in_queue",
  "run_completed",
  "run_cancelled",
] as const;

/** Makes the handler. Throws `config_invalid`. */
export function webhookHandler(options: WebhookOptions, invoker: Invoker): WebhookHandler {
  const verify = verifierOf(options.secret);
  const endpoint = new Endpoint(options, invoker);
  return async (request) => {
    if (request.method !== "POST")
      return problem(refused(405, "method_not_allowed", "Send POST."), { allow: "POST" });
    const verified = await verify(request);
    return "status" in verified ? problem(verified) : endpoint.handle(verified);
  };
}

/**
 * Answers an invocation at once and resumes the run in the background. Tidebase sends it again under
 * its id until the run has begun: so an id is remembered only then, and meanwhile does not start a
 * second attempt.
 */
class Endpoint {
  readonly #options: WebhookOptions;
  readonly #invoker: Invoker;
  readonly #done = new Remembered();
  /** Under way in this process, by id: whether it was handled. */
  readonly #working = new Map<string, Promise<boolean>>();

  constructor(options: WebhookOptions, invoker: Invoker) {
    this.#options = options;
    this.#invoker = invoker;
  }

  async handle({ id, message }: Verified): Promise<Response> {
    if (this.#done.has(id)) return new Response(null, { status: 200 });
    if (message.type === "run.invoke") return this.#invoke(id, message);
    const isHandled = await this.#once(id, () => this.#tell(id, message));
    if (isHandled) return new Response(null, { status: 204 });
    return problem(
      refused(500, "webhook_not_handled", "The message could not be handled. Send it again."),
    );
  }

  #invoke(id: string, message: WebhookMessage): Response {
    const { runId, workflow } = message.data;
    if (typeof runId !== "string" || typeof workflow !== "string")
      return problem(refused(400, "webhook_malformed", "data must name runId and workflow."));
    if (!this.#invoker.isRegistered(workflow)) {
      const detail = `No workflow of the name is registered in this process: tide.workflow(${JSON.stringify(workflow)}, …).`;
      return problem(refused(404, "workflow_not_registered", detail));
    }
    const isNew = !this.#working.has(id);
    const work = this.#once(id, () => this.#resume(id, runId, message));
    if (isNew) this.#options.waitUntil?.(work.then(() => {}));
    return new Response(null, { status: 202 });
  }

  /** A message that comes again while it is worked on waits for the same end. */
  #once(id: string, work: () => Promise<boolean>): Promise<boolean> {
    const known = this.#working.get(id);
    if (known !== undefined) return known;
    const working = work().finally(() => this.#working.delete(id));
    this.#working.set(id, working);
    return working;
  }

  async #resume(id: string, runId: string, message: WebhookMessage): Promise<boolean> {
    try {
      await this.#invoker.resume(runId, () => this.#done.add(id));
    } catch (error) {
      if (!isTidebaseError(error, ...QUIET)) return this.#failed(error, message);
      this.#done.add(id);
    }
    return true;
  }

  async #tell(id: string, message: WebhookMessage): Promise<boolean> {
    try {
      await this.#options.onEvent?.(message);
    } catch (error) {
      return this.#failed(error, message);
    }
    this.#done.add(id);
    return true;
  }

  #failed(error: unknown, message: WebhookMessage): false {
    const { onError } = this.#options;
    const why = lineOf(recordFailure(error));
    if (onError) tell(() => onError(error, message));
    else this.#invoker.log(`Webhook message ${message.type} was not handled: ${why}`);
    return false;
  }
}

function problem(
  { status, code, detail }: Refused,
  headers: Record<string, string> = {},
): Response {
  return new Response(JSON.stringify({ status, detail, code }), {
    status,
    headers: { "content-type": "application/problem+json", ...headers },
  });
}
