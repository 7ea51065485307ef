import type { IncomingMessage } from "node:http";
import { TidebaseError } from "@tidebase/core";
import { readBytes } from "./body.ts";

const FORM_TYPE = /^application\/x-www-form-urlencoded\s*(?:;\s*charset="?utf-8"?\s*)?$/i;

/** More fields than the longest form of ours has. */
const FIELDS_MAX = 100;

const utf8 = new TextDecoder("utf-8", { fatal: true });

/**
 * The fields of a form as a browser sends it, each named once, line ends as `\n`. Throws
 * `content_type_unsupported`, `body_too_large`, `request_malformed` or `input_invalid`.
 */
export async function readForm(
  request: Request,
  incoming: IncomingMessage | undefined,
  limitBytes: number,
): Promise<ReadonlyMap<string, string>> {
  const { headers } = request;
  const isPlain = (headers.get("content-encoding") ?? "identity") === "identity";
  if (!FORM_TYPE.test(headers.get("content-type") ?? "") || !isPlain)
    throw new TidebaseError("content_type_unsupported");
  const bytes = await readBytes(request, incoming, limitBytes);
  const sent = new URLSearchParams(decoded(bytes));
  const fields = new Map([...sent].map(([name, text]) => [name, text.replace(/\r\n?/g, "\n")]));
  if (fields.size !== [...sent].length || fields.size > FIELDS_MAX)
    throw new TidebaseError("input_invalid", {
      issues: [{ path: "", message: `has a field twice, or more than ${FIELDS_MAX}` }],
    });
  return fields;
}

function decoded(bytes: Uint8Array): string {
  try {
    return utf8.decode(bytes);
  } catch (cause) {
    throw new TidebaseError("request_malformed", { cause });
  }
}
