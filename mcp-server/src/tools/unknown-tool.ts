import { closest } from "../closest.ts";
import type { ToolDefinition } from "../tool.ts";
import { ToolFailure } from "../tool-error.ts";
import { ALL_TOOLS } from "./index.ts";

/** Why a call of this name is not answered: there is no such tool, or this server offers it not. */
export function unknownTool(name: string, offered: readonly ToolDefinition[]): ToolFailure {
  const hidden = ALL_TOOLS.find((tool) => tool.name === name);
  if (hidden !== undefined) return notOffered(hidden, offered);
  const names = offered.map((tool) => tool.name);
  const guess = closest(name, names);
  return new ToolFailure({
    code: "tool_not_found",
    message: "No tool has that name.",
    fix: guess === undefined ? `Call one of: ${names.join(", ")}.` : `Did you mean ${guess}?`,
    retryable: false,
  });
}

function notOffered(tool: ToolDefinition, offered: readonly ToolDefinition[]): ToolFailure {
  const writes = (candidate: ToolDefinition): boolean => !candidate.annotations.readOnlyHint;
  if (writes(tool) && !offered.some(writes))
    return new ToolFailure({
      code: "store_read_only",
      message: `${tool.name} writes, and this server is read-only: it offers no tool that writes.`,
      fix: "The human decides that: tidebase-mcp without --read-only (TIDEBASE_READ_ONLY), and with --toolsets or --tools that write.",
      retryable: false,
    });
  return new ToolFailure({
    code: "tool_not_found",
    message: `This server was started without ${tool.name}.`,
    fix: `The human can start tidebase-mcp with it: --toolsets runs,gates,ops,start holds them all.`,
    retryable: false,
  });
}
