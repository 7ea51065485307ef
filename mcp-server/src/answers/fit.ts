import { z } from "zod";
import { estimateTokens } from "./estimate.ts";

const BYTES_PER_TOKEN = 4;
/** Of what is estimated: a tokenizer may count a tenth more. */
const ESTIMATED_MAX = 4100;

/** How many tokens an answer may cost. */
export const TOKENS = {
  list: 2000,
  detail: 3000,
  cap: 4500,
  gates: 1500,
  gate: 2500,
  outcome: 400,
} as const;

/** How much of an answer is shown. */
export interface Cut {
  /** Whether the parts that are only sometimes needed are there. */
  readonly detail: boolean;
  /** Characters of a foreign text. */
  readonly text: number;
  /** Rows of a list. */
  readonly rows: number;
}

interface Budget extends Omit<Cut, "detail"> {
  readonly tokens: number;
  /** Texts are never cut below this; rows go first. */
  readonly leastText?: number;
}

const LEAST_TEXT = 60;

/**
 * The largest answer within the budget. Dropped in this order: detail; then text, by halves; then rows
 * from the end. `render` says in the answer itself what is missing.
 */
export function fit<Answer extends object>(
  { tokens, text, rows, leastText = LEAST_TEXT }: Budget,
  render: (cut: Cut) => Answer,
): Answer {
  const fits = (answer: Answer): boolean => isWithin(JSON.stringify(answer), tokens);
  let answer = render({ detail: true, text, rows });
  if (fits(answer)) return answer;
  for (let length = text; ; length = Math.max(leastText, Math.floor(length / 2))) {
    answer = render({ detail: false, text: length, rows });
    if (fits(answer)) return answer;
    if (length <= leastText) break;
  }
  let [low, high] = [1, rows - 1];
  let best: Answer | undefined;
  while (low <= high) {
    const middle = Math.floor((low + high) / 2);
    answer = render({ detail: false, text: Math.min(text, leastText), rows: middle });
    if (fits(answer)) [best, low] = [answer, middle + 1];
    else high = middle - 1;
  }
  return best ?? render({ detail: false, text: LEAST_TEXT, rows: Math.min(rows, 1) });
}

/** By the tool's own measure, and by what ids, escapes and foreign scripts really cost under the cap of all. */
function isWithin(sent: string, tokens: number): boolean {
  const isShort = Buffer.byteLength(sent) <= tokens * BYTES_PER_TOKEN;
  return isShort && estimateTokens(sent) <= ESTIMATED_MAX;
}

/** The schema of `truncated`. */
export const Truncated = z
  .object({ field: z.string(), shown: z.int(), total: z.int() })
  .optional()
  .describe("What was left out to fit; narrow the call to see it.");

/** The member `truncated`: of the first field that is shown in part, or nothing. */
export function truncation(...fields: readonly { field: string; shown: number; total: number }[]): {
  truncated?: { field: string; shown: number; total: number };
} {
  const first = fields.find(({ shown, total }) => shown < total);
  return first === undefined ? {} : { truncated: first };
}
