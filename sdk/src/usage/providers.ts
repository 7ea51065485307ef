import { TidebaseError } from "../errors.ts";

/** What a response says of the tokens it took, for `run.usage.record({ ...record, costUsd })`. */
export interface LlmUsage {
  readonly kind: "llm";
  readonly provider?: string;
  readonly model?: string;
  /** With those that came from a cache or went into one. */
  readonly inputTokens?: number;
  /** With those of reasoning. */
  readonly outputTokens?: number;
  readonly totalTokens?: number;
  /** 1, of a response that says nothing of tokens. */
  readonly quantity?: number;
  readonly unit?: "call";
  /** The parts that providers price apart, where they are not 0. */
  readonly metadata?: {
    /** Of `inputTokens`: read from a cache. */
    readonly cachedInputTokens?: number;
    /** Of `inputTokens`: written to a cache. */
    readonly cacheWriteTokens?: number;
    /** Of `outputTokens`. */
    readonly reasoningTokens?: number;
    /** The response says nothing of tokens. */
    readonly usageMissing?: true;
  };
}

type Count = number | null | undefined;

/** A message of Anthropic's SDK, as far as it is read. */
export interface AnthropicMessage {
  readonly model?: string;
  readonly usage?: {
    readonly input_tokens?: Count;
    readonly output_tokens?: Count;
    readonly cache_read_input_tokens?: Count;
    readonly cache_creation_input_tokens?: Count;
    readonly output_tokens_details?: { readonly thinking_tokens?: Count } | null;
  } | null;
}

/** A chat completion or a response of OpenAI's SDK, as far as it is read. */
export interface OpenaiResponse {
  readonly model?: string;
  readonly usage?: {
    readonly prompt_tokens?: Count;
    readonly completion_tokens?: Count;
    readonly input_tokens?: Count;
    readonly output_tokens?: Count;
    readonly total_tokens?: Count;
    readonly prompt_tokens_details?: CacheDetails | null;
    readonly input_tokens_details?: CacheDetails | null;
    readonly completion_tokens_details?: { readonly reasoning_tokens?: Count } | null;
    readonly output_tokens_details?: { readonly reasoning_tokens?: Count } | null;
  } | null;
}

interface CacheDetails {
  readonly cached_tokens?: Count;
  readonly cache_write_tokens?: Count;
}

/** The usage of the AI SDK, of its versions 4 to 6, as far as it is read. */
export interface AiSdkTokens {
  readonly inputTokens?: Count;
  readonly outputTokens?: Count;
  readonly promptTokens?: Count;
  readonly completionTokens?: Count;
  readonly totalTokens?: Count;
  readonly cachedInputTokens?: Count;
  readonly reasoningTokens?: Count;
  readonly inputTokenDetails?: {
    readonly cacheReadTokens?: Count;
    readonly cacheWriteTokens?: Count;
  };
  readonly outputTokenDetails?: { readonly reasoningTokens?: Count };
}

/** A result of the AI SDK, as far as it is read; of a stream, what its promises give. */
export interface AiSdkResult {
  readonly usage?: AiSdkTokens | null;
  /** Of all steps. Counts rather than `usage`, which is that of the last one. */
  readonly totalUsage?: AiSdkTokens | null;
  readonly response?: { readonly modelId?: string } | null;
  readonly steps?: readonly { readonly model?: { readonly provider?: string } }[];
}

/**
 * The usage of a message from Anthropic. Its `input_tokens` leave out what a cache had to do with; here `inputTokens`
 * are all of them. Throws `input_invalid` for what is no message. A message without usage is a record of one call.
 */
export function anthropicUsage(message: AnthropicMessage): LlmUsage {
  const { model, usage } = settled("anthropicUsage", message);
  const cachedInputTokens = countOf(usage?.cache_read_input_tokens);
  const cacheWriteTokens = countOf(usage?.cache_creation_input_tokens);
  const fresh = countOf(usage?.input_tokens);
  return recordOf({
    ...{ provider: "anthropic", model, cachedInputTokens, cacheWriteTokens },
    inputTokens:
      fresh === undefined ? undefined : fresh + (cachedInputTokens ?? 0) + (cacheWriteTokens ?? 0),
    outputTokens: countOf(usage?.output_tokens),
    reasoningTokens: countOf(usage?.output_tokens_details?.thinking_tokens),
  });
}

/**
 * The usage of a chat completion or a response from OpenAI, or from whoever answers in its shape (then name your
 * `provider` after it). A stream of chat tells it only when asked: `stream_options: { include_usage: true }`. Throws
 * `input_invalid` for what is no response. A response without usage is a record of one call.
 */
export function openaiUsage(response: OpenaiResponse): LlmUsage {
  const { model, usage } = settled("openaiUsage", response);
  const input = usage?.input_tokens_details ?? usage?.prompt_tokens_details;
  const output = usage?.output_tokens_details ?? usage?.completion_tokens_details;
  return recordOf({
    ...{ provider: "openai", model },
    inputTokens: countOf(usage?.input_tokens ?? usage?.prompt_tokens),
    outputTokens: countOf(usage?.output_tokens ?? usage?.completion_tokens),
    totalTokens: countOf(usage?.total_tokens),
    cachedInputTokens: countOf(input?.cached_tokens),
    cacheWriteTokens: countOf(input?.cache_write_tokens),
    reasoningTokens: countOf(output?.reasoning_tokens),
  });
}

/**
 * The usage of what `generateText`, `generateObject` and their like of the AI SDK give: of all steps together. Of a
 * stream hand in what its promises gave: `aiSdkUsage({ totalUsage: await result.totalUsage, response: await result.response })`.
 * Throws `input_invalid` for what is no result, or a promise. A result without usage is a record of one call.
 */
export function aiSdkUsage(result: AiSdkResult): LlmUsage {
  const { usage, totalUsage, response, steps } = settled("aiSdkUsage", result);
  const tokens = settled("aiSdkUsage", totalUsage ?? usage ?? {});
  return recordOf({
    provider: steps?.at(-1)?.model?.provider,
    model: settled("aiSdkUsage", response ?? {}).modelId,
    inputTokens: countOf(tokens.inputTokens ?? tokens.promptTokens),
    outputTokens: countOf(tokens.outputTokens ?? tokens.completionTokens),
    totalTokens: countOf(tokens.totalTokens),
    cachedInputTokens: countOf(
      tokens.inputTokenDetails?.cacheReadTokens ?? tokens.cachedInputTokens,
    ),
    cacheWriteTokens: countOf(tokens.inputTokenDetails?.cacheWriteTokens),
    reasoningTokens: countOf(tokens.outputTokenDetails?.reasoningTokens ?? tokens.reasoningTokens),
  });
}

interface Found {
  readonly provider?: string | undefined;
  readonly model?: string | undefined;
  readonly inputTokens?: number | undefined;
  readonly outputTokens?: number | undefined;
  readonly totalTokens?: number | undefined;
  readonly cachedInputTokens?: number | undefined;
  readonly cacheWriteTokens?: number | undefined;
  readonly reasoningTokens?: number | undefined;
}

/**
 * Never without a figure: by the time a response is read the money is spent, and a failure here would make its step
 * spend it again.
 */
function recordOf({
  cachedInputTokens,
  cacheWriteTokens,
  reasoningTokens,
  ...said
}: Found): LlmUsage {
  const { inputTokens, outputTokens, totalTokens } = said;
  const missing = (inputTokens ?? outputTokens ?? totalTokens) === undefined;
  const parts = Object.entries({ cachedInputTokens, cacheWriteTokens, reasoningTokens });
  const told = parts.filter(([, count]) => count !== undefined && count > 0);
  const metadata = { ...Object.fromEntries(told), ...(missing && { usageMissing: true as const }) };
  const known = Object.entries(said).filter(([, value]) => value !== undefined);
  return {
    kind: "llm",
    ...Object.fromEntries(known),
    ...(missing && { quantity: 1, unit: "call" as const }),
    ...(Object.keys(metadata).length > 0 && { metadata }),
  };
}

/** Some providers say NaN of what they do not know. */
function countOf(count: Count): number | undefined {
  return typeof count === "number" && Number.isSafeInteger(count) && count >= 0 ? count : undefined;
}

function settled<Value extends object>(helper: string, value: Value): Value {
  const isPromise = typeof (value as { then?: unknown } | null)?.then === "function";
  if (typeof value === "object" && value !== null && !isPromise) return value;
  const remedy = isPromise ? "It was given a promise: await it first." : `It was given ${value}.`;
  throw new TidebaseError("input_invalid", `${helper} takes the provider's answer. ${remedy}`);
}
