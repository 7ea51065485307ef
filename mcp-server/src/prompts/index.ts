import { closest } from "../closest.ts";
import type { ToolDefinition } from "../tool.ts";
import { badArguments, ToolFailure } from "../tool-error.ts";
import type { PromptDefinition } from "./prompt.ts";
import { reviewGate } from "./review-gate.ts";
import { investigateRun, recoverSafely } from "./runs.ts";
import { triage } from "./triage.ts";

const ALL: readonly PromptDefinition[] = [investigateRun, reviewGate, triage, recoverSafely];

/** Those whose tools are offered, in the order clients see them. */
export function promptsFor(tools: readonly ToolDefinition[]): readonly PromptDefinition[] {
  const names = new Set<string>(tools.map(({ name }) => name));
  return ALL.filter(({ needs }) => needs.every((name) => names.has(name)));
}

/** The prompt of this name; throws `prompt_not_found`. */
export function findPrompt(name: string, prompts: readonly PromptDefinition[]): PromptDefinition {
  const found = prompts.find((prompt) => prompt.name === name);
  if (found !== undefined) return found;
  const names = prompts.map((prompt) => prompt.name);
  const guess = closest(name, names);
  throw new ToolFailure({
    code: "prompt_not_found",
    message: "No prompt has that name.",
    fix: guess === undefined ? `There are: ${names.join(", ")}.` : `Did you mean ${guess}?`,
    retryable: false,
  });
}

/** The prompt's text with what was given; throws `input_invalid`. */
export function textOf(prompt: PromptDefinition, given: Readonly<Record<string, string>>): string {
  const parsed = prompt.given.safeParse(given);
  if (parsed.success) return prompt.text(parsed.data);
  throw badArguments(prompt.given, parsed.error);
}
