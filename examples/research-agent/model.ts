import { completeLocally } from "./local-model.ts";

/** Answers a prompt; stops when the signal fires. */
export type Complete = (prompt: string, signal: AbortSignal) => Promise<string>;

export const MODELS = ["local", "anthropic", "openai"] as const;
export type ModelName = (typeof MODELS)[number];

interface Provider {
  readonly key: string;
  readonly url: string;
  readonly model: string;
  headers(key: string): Record<string, string>;
  textOf(answer: unknown): string | undefined;
}

const MAX_TOKENS = 2_000;

const PROVIDERS: Readonly<Record<Exclude<ModelName, "local">, Provider>> = {
  anthropic: {
    key: "ANTHROPIC_API_KEY",
    url: "https://api.anthropic.com/v1/messages",
    model: "claude-sonnet-4-5",
    headers: (key) => ({ "x-api-key": key, "anthropic-version": "2023-06-01" }),
    textOf: (answer) => (answer as { content?: { text?: string }[] }).content?.[0]?.text,
  },
  openai: {
    key: "OPENAI_API_KEY",
    url: "https://api.openai.com/v1/chat/completions",
    model: "gpt-4.1-mini",
    headers: (key) => ({ authorization: `Bearer ${key}` }),
    textOf: (answer) =>
      (answer as { choices?: { message?: { content?: string } }[] }).choices?.[0]?.message?.content,
  },
};

/**
 * The model by name. A hosted one is used only when it is asked for; its key comes from the
 * environment given. Throws when that key is missing.
 */
export function openModel(
  name: ModelName,
  env: Readonly<Record<string, string | undefined>>,
  model?: string,
): Complete {
  if (name === "local") return completeLocally;
  const provider = PROVIDERS[name];
  const key = env[provider.key];
  if (!key) throw new Error(`--llm ${name} needs ${provider.key} in the environment.`);
  return (prompt, signal) => ask(provider, key, model ?? provider.model, prompt, signal);
}

async function ask(
  provider: Provider,
  key: string,
  model: string,
  prompt: string,
  signal: AbortSignal,
): Promise<string> {
  const response = await fetch(provider.url, {
    method: "POST",
    headers: { "content-type": "application/json", ...provider.headers(key) },
    body: JSON.stringify({
      model,
      max_tokens: MAX_TOKENS,
      messages: [{ role: "user", content: prompt }],
    }),
    signal,
  });
  if (!response.ok)
    throw new Error(`${provider.url} answered ${response.status}: ${await response.text()}`);
  const text = provider.textOf(await response.json());
  if (text === undefined) throw new Error(`${provider.url} answered without text.`);
  return text;
}
