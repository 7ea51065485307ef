import {
  CompleteRequestSchema,
  GetPromptRequestSchema,
  ListPromptsRequestSchema,
  type Prompt,
} from "@modelcontextprotocol/sdk/types.js";
import { findPrompt, textOf } from "./prompts/index.ts";
import type { PromptDefinition } from "./prompts/prompt.ts";
import { complete } from "./resources/complete.ts";
import type { ResourceDefinition } from "./resources/resource.ts";
import type { Session } from "./session-v1.ts";
import { ToolFailure } from "./tool-error.ts";

/** Prompts, and the completion of their arguments and of the templates' variables. */
export function servePrompts(
  session: Session,
  prompts: readonly PromptDefinition[],
  resources: readonly ResourceDefinition[],
): void {
  const { server, doing, backend, onError } = session;
  server.setRequestHandler(ListPromptsRequestSchema, () => ({ prompts: prompts.map(advertise) }));
  server.setRequestHandler(GetPromptRequestSchema, ({ params }, extra) =>
    doing(extra, async () => {
      const prompt = findPrompt(params.name, prompts);
      const text = textOf(prompt, params.arguments ?? {});
      const { description } = prompt;
      return { description, messages: [{ role: "user", content: { type: "text", text } }] };
    }),
  );
  server.setRequestHandler(CompleteRequestSchema, ({ params: { ref, argument, context } }, extra) =>
    doing(extra, async () => {
      const names =
        ref.type === "ref/prompt"
          ? Object.keys(findPrompt(ref.name, prompts).given.shape)
          : variablesOf(ref.uri);
      if (!names.includes(argument.name)) return { completion: { values: [] } };
      const known = context?.arguments ?? {};
      return { completion: await complete({ ...argument, known, backend, onError }) };
    }),
  );

  /** A client names the template, or fills in what has no variables. */
  function variablesOf(uri: string): string[] {
    const found = resources.find(({ uriTemplate }) => uriTemplate === uri);
    if (found !== undefined) return uri.match(/\w+(?=[},])/g) ?? [];
    throw new ToolFailure({
      code: "completion_not_found",
      message: "No resource template is written like that.",
      fix: "Use a uriTemplate of resources/templates/list.",
      retryable: false,
    });
  }
}

function advertise({ name, title, description, given }: PromptDefinition): Prompt {
  const members = Object.entries(given.shape).map(([member, schema]) => ({
    name: member,
    description: schema.description ?? "",
    required: !schema.safeParse(undefined).success,
  }));
  return { name, title, description, arguments: members };
}
