import { Webhook } from "standardwebhooks";
import { TidebaseError } from "../errors.ts";

/** What Tidebase sends: the type of an event, when it happened, and ids. */
export interface WebhookMessage {
  readonly type: string;
  readonly timestamp: string;
  readonly data: Readonly<Record<string, unknown>>;
}

/** Why a delivery is refused, as it is answered. */
export interface Refused {
  readonly status: number;
  readonly code: string;
  readonly detail: string;
}

/** A delivery that somebody who knows the secret has sent just now. */
export interface Verified {
  readonly id: string;
  readonly message: WebhookMessage;
}

/** A delivery of ours is far smaller. */
const MOST_BYTES = 1_048_576;
/** Standard Webhooks asks for 24 bytes; a shorter secret was cut off, or invented by hand. */
const LEAST_SECRET_BYTES = 24;

/** Verifies with any of the secrets (standardwebhooks.com): there are two while one is replaced. */
export function verifierOf(
  secret: string | readonly string[],
): (request: Request) => Promise<Verified | Refused> {
  const keys = (Array.isArray(secret) ? secret : [secret]).map(keyOf);
  if (keys.length === 0) throw noSecret("is missing");
  return async (request) => {
    const body = await read(request);
    if (typeof body !== "string") return body;
    const [id, timestamp, signature] = ["id", "timestamp", "signature"].map(
      (name) => request.headers.get(`webhook-${name}`) ?? "",
    );
    if (!id || !timestamp || !signature)
      return refused(
        400,
        "webhook_malformed",
        "The headers webhook-id, webhook-timestamp and webhook-signature must be there.",
      );
    const headers = {
      "webhook-id": id,
      "webhook-timestamp": timestamp,
      "webhook-signature": signature,
    };
    if (!/^\d{1,15}$/.test(timestamp) || !keys.some((key) => isSigned(key, body, headers)))
      return refused(
        401,
        "webhook_signature_invalid",
        "The signature does not fit the raw body, or the timestamp is more than five minutes away. Compare the secret, the clock, and whether something in between rewrites bodies.",
      );
    const message = messageOf(body);
    return message === undefined
      ? refused(400, "webhook_malformed", "The body is no message of Tidebase.")
      : { id, message };
  };
}

/** A refusal as it is answered (RFC 9457). */
export function refused(status: number, code: string, detail: string): Refused {
  return { status, code, detail };
}

function isSigned(key: Webhook, body: string, headers: Record<string, string>): boolean {
  try {
    key.verify(body, headers, { jsonParse: false });
    return true;
  } catch {
    return false;
  }
}

function keyOf(secret: unknown): Webhook {
  if (typeof secret !== "string" || secret.trim() === "") throw noSecret("is missing or empty");
  const text = secret.trim();
  if (text.replace(/^whsec_/, "").replace(/=+$/, "").length < (LEAST_SECRET_BYTES * 4) / 3)
    throw noSecret(`has less than ${LEAST_SECRET_BYTES} bytes`);
  try {
    return new Webhook(text);
  } catch (cause) {
    throw noSecret("is not base64", cause);
  }
}

/** Says nothing of the secret itself. */
function noSecret(problem: string, cause?: unknown): TidebaseError {
  return new TidebaseError(
    "config_invalid",
    `tide.webhook: the secret ${problem}. Give it as it was printed when the webhook was created, whsec_ and base64; without one nobody could tell who sends.`,
    { option: "secret" },
    { cause },
  );
}

/** The bytes as they came, for they are what is signed: no byte order mark is lost. */
async function read(request: Request): Promise<string | Refused> {
  const tooLarge = refused(413, "body_too_large", `Send at most ${MOST_BYTES} bytes.`);
  if (Number(request.headers.get("content-length")) > MOST_BYTES) return tooLarge;
  const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  let [text, bytes] = ["", 0];
  try {
    const reader = request.body?.getReader();
    for (;;) {
      const chunk = await reader?.read();
      if (chunk?.value === undefined) return text + decoder.decode();
      bytes += chunk.value.byteLength;
      if (bytes > MOST_BYTES) {
        await reader?.cancel();
        return tooLarge;
      }
      text += decoder.decode(chunk.value, { stream: true });
    }
  } catch {
    return refused(400, "webhook_malformed", "The body did not arrive as UTF-8.");
  }
}

function messageOf(body: string): WebhookMessage | undefined {
  try {
    const message = JSON.parse(body) as WebhookMessage | null;
    const { type, timestamp, data } = message ?? ({} as Partial<WebhookMessage>);
    const isMessage = typeof type === "string" && typeof timestamp === "string";
    return isMessage && typeof data === "object" && data !== null
      ? { type, timestamp, data }
      : undefined;
  } catch {
    return undefined;
  }
}
