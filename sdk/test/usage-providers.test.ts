import type Anthropic from "@anthropic-ai/sdk";
import { aiSdkUsage, anthropicUsage, openaiUsage } from "@tidebase/sdk";
import type { generateObject, generateText, streamText } from "ai";
import type OpenAI from "openai";
import { expect, expectTypeOf, test } from "vitest";

test("the real types of the providers' SDKs fit, and a stream that nobody awaited does not", () => {
  expectTypeOf<Anthropic.Message>().toExtend<Parameters<typeof anthropicUsage>[0]>();
  expectTypeOf<OpenAI.ChatCompletion>().toExtend<Parameters<typeof openaiUsage>[0]>();
  expectTypeOf<OpenAI.ChatCompletionChunk>().toExtend<Parameters<typeof openaiUsage>[0]>();
  expectTypeOf<OpenAI.Responses.Response>().toExtend<Parameters<typeof openaiUsage>[0]>();
  type Given = Parameters<typeof aiSdkUsage>[0];
  expectTypeOf<Awaited<ReturnType<typeof generateText>>>().toExtend<Given>();
  expectTypeOf<Awaited<ReturnType<typeof generateObject>>>().toExtend<Given>();
  type Stream = ReturnType<typeof streamText>;
  expectTypeOf<{
    totalUsage: Awaited<Stream["totalUsage"]>;
    response: Awaited<Stream["response"]>;
    steps: Awaited<Stream["steps"]>;
  }>().toExtend<Given>();
  const unawaited = (stream: Stream) => {
    // @ts-expect-error its usage is a promise
    aiSdkUsage(stream);
  };
  expect(unawaited).toBeTypeOf("function");
});

test("Anthropic's input tokens are those of the cache too", () => {
  const usage = { input_tokens: 10, output_tokens: 5 };
  const model = "claude-x";
  expect(anthropicUsage({ model, usage })).toEqual({
    ...{ kind: "llm", provider: "anthropic", model, inputTokens: 10, outputTokens: 5 },
  });
  const cached = {
    ...{ ...usage, cache_read_input_tokens: 700, cache_creation_input_tokens: 90 },
    output_tokens_details: { thinking_tokens: 3 },
  };
  expect(anthropicUsage({ model, usage: cached })).toMatchObject({
    ...{ inputTokens: 800, outputTokens: 5 },
    metadata: { cachedInputTokens: 700, cacheWriteTokens: 90, reasoningTokens: 3 },
  });
  const none = { ...usage, cache_read_input_tokens: null, cache_creation_input_tokens: 0 };
  expect(anthropicUsage({ model, usage: none })).not.toHaveProperty("metadata");
});

test("both of OpenAI's shapes say the same", () => {
  const model = "gpt-x";
  const said = {
    ...{
      kind: "llm",
      provider: "openai",
      model,
      inputTokens: 9,
      outputTokens: 12,
      totalTokens: 21,
    },
    metadata: { cachedInputTokens: 4, cacheWriteTokens: 2, reasoningTokens: 8 },
  };
  const [cached, reasoned] = [{ cached_tokens: 4, cache_write_tokens: 2 }, { reasoning_tokens: 8 }];
  expect(
    openaiUsage({
      model,
      usage: {
        ...{ prompt_tokens: 9, completion_tokens: 12, total_tokens: 21 },
        ...{ prompt_tokens_details: cached, completion_tokens_details: reasoned },
      },
    }),
  ).toEqual(said);
  expect(
    openaiUsage({
      model,
      usage: {
        ...{ input_tokens: 9, output_tokens: 12, total_tokens: 21 },
        ...{ input_tokens_details: cached, output_tokens_details: reasoned },
      },
    }),
  ).toEqual(said);
});

test("the AI SDK's result is told in its shapes of versions 4, 5 and 6, all steps together", () => {
  const response = { modelId: "m" };
  const figures = { kind: "llm", model: "m", inputTokens: 30, outputTokens: 12, totalTokens: 42 };
  const four = { promptTokens: 30, completionTokens: 12, totalTokens: 42 };
  expect(aiSdkUsage({ usage: four, response })).toEqual(figures);
  const five = { inputTokens: 30, outputTokens: 12, totalTokens: 42 };
  const cached = { ...five, cachedInputTokens: 20, reasoningTokens: 2 };
  const last = { inputTokens: 1, outputTokens: 1, totalTokens: 2 };
  const metadata = { cachedInputTokens: 20, reasoningTokens: 2 };
  expect(aiSdkUsage({ usage: last, totalUsage: cached, response })).toEqual({
    ...figures,
    metadata,
  });
  const six = {
    ...{ ...five, inputTokenDetails: { cacheReadTokens: 20, cacheWriteTokens: 1 } },
    outputTokenDetails: { reasoningTokens: 2 },
  };
  const steps = [{ model: { provider: "a" } }, { model: { provider: "openai.responses" } }];
  expect(aiSdkUsage({ usage: last, totalUsage: six, response, steps })).toEqual({
    ...{ ...figures, provider: "openai.responses" },
    metadata: { ...metadata, cacheWriteTokens: 1 },
  });
  const unsure = { inputTokens: Number.NaN, outputTokens: undefined, totalTokens: 42 };
  expect(aiSdkUsage({ usage: unsure })).toEqual({ kind: "llm", totalTokens: 42 });
});

test("an answer that says nothing of tokens is a record of one call, for the money is spent", () => {
  const call = { kind: "llm", quantity: 1, unit: "call", metadata: { usageMissing: true } };
  expect(openaiUsage({ model: "m", usage: null })).toEqual({
    ...call,
    provider: "openai",
    model: "m",
  });
  expect(anthropicUsage({ model: "m" })).toMatchObject(call);
  expect(aiSdkUsage({ usage: { inputTokens: undefined } })).toEqual(call);
});

test.each([
  ["nothing", undefined],
  ["a text", "hello"],
  ["null", null],
])("%s instead of an answer is refused", (_, given) => {
  for (const helper of [anthropicUsage, openaiUsage, aiSdkUsage])
    expect(() => helper(given as never)).toThrow(/takes the provider's answer/);
});

test("a promise is refused with what to do", () => {
  for (const helper of [anthropicUsage, openaiUsage, aiSdkUsage])
    expect(() => helper(Promise.resolve({}) as never)).toThrow(/await it first/);
  const stream = { totalUsage: Promise.resolve({ totalTokens: 1 }) };
  expect(() => aiSdkUsage(stream as never)).toThrow(/await it first/);
});
