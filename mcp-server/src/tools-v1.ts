import {
  CallToolRequestSchema,
  type CallToolResult,
  ListToolsRequestSchema,
  type Tool,
} from "@modelcontextprotocol/sdk/types.js";
import { z } from "zod";
import { outlineOf } from "./answers/outline.ts";
import type { Session } from "./session-v1.ts";
import type { ToolDefinition } from "./tool.ts";

/** The list of tools, and their calls. */
export function serveTools(session: Session, tools: readonly ToolDefinition[]): void {
  const { server, answer, doing } = session;
  server.setRequestHandler(ListToolsRequestSchema, () => ({ tools: tools.map(advertised) }));
  server.setRequestHandler(CallToolRequestSchema, ({ params }, extra) =>
    doing<CallToolResult>(
      extra,
      async () => {
        const structured = await answer(params.name, params.arguments, extra);
        return { structuredContent: { ...structured }, content: [text(structured)] };
      },
      // Text alone: clients hold structured content against the output schema, of an error too.
      (error) => ({ isError: true, content: [text({ error })] }),
    ),
  );
}

const listed = new WeakMap<ToolDefinition, Tool>();

/** What is told of a tool: the same for every session. */
function advertised(tool: ToolDefinition): Tool {
  const known = listed.get(tool) ?? advertise(tool);
  listed.set(tool, known);
  return known;
}

function advertise(tool: ToolDefinition): Tool {
  const { name, title, description, input, output, annotations, meta } = tool;
  const inputSchema = schemaOf(input) as Tool["inputSchema"];
  const outputSchema = outlineOf(output) as Tool["outputSchema"];
  const _meta = meta === undefined ? {} : { _meta: { ...meta } };
  return { name, title, description, inputSchema, outputSchema, annotations, ..._meta };
}

/**
 * As short as it can be said, since agents pay for it: without `$schema` (every revision of the protocol
 * has its own default, and none of it is used) and without the bounds of a double, of the length of what
 * is sent and of its members: what is wrong is refused with what was probably meant.
 */
function schemaOf(schema: z.ZodObject): object {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, {
    io: "input",
    override({ jsonSchema }) {
      if (jsonSchema.minimum === Number.MIN_SAFE_INTEGER) delete jsonSchema.minimum;
      if (jsonSchema.maximum === Number.MAX_SAFE_INTEGER) delete jsonSchema.maximum;
      delete jsonSchema.additionalProperties;
      for (const bound of ["minLength", "maxLength", "maxItems"] as const) delete jsonSchema[bound];
    },
  });
  return rest;
}

function text(content: object): { type: "text"; text: string } {
  return { type: "text", text: JSON.stringify(content) };
}
