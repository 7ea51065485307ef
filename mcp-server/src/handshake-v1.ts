import type { Readable, Writable } from "node:stream";
import type { Server } from "@modelcontextprotocol/sdk/server/index.js";
import { StdioServerTransport } from "@modelcontextprotocol/sdk/server/stdio.js";
import { INSTRUCTIONS } from "./instructions.ts";
import { CheckingServer } from "./params-v1.ts";

/** What the list of each kind says never changes while the server runs. */
const CAPABILITIES = {
  tools: { listChanged: false },
  resources: { subscribe: true, listChanged: false },
  prompts: { listChanged: false },
  completions: {},
};

/** No form is asked by `elicitInput`, so nothing is ever held against a schema: see session-v1.ts. */
const NO_VALIDATOR = {
  getValidator(): never {
    throw new Error("No schema is checked by the SDK.");
  },
};

/** What a server says of itself. */
export interface Introduction {
  readonly version: string;
  /** Told of every failure, for the log; never for the agent. */
  readonly onError?: ((error: unknown) => void) | undefined;
}

/**
 * A server that answers the handshake and nothing else yet. It stands apart from what it offers, because a
 * client waits for this answer while the rest is still being loaded.
 */
export function openServer({ version, onError }: Introduction): Server {
  const server = new CheckingServer(
    { name: "tidebase", title: "Tidebase", version },
    {
      capabilities: CAPABILITIES,
      instructions: INSTRUCTIONS,
      jsonSchemaValidator: NO_VALIDATOR,
    },
  );
  if (onError !== undefined) server.onerror = (error) => onError(withoutContent(error));
  return server;
}

/** Speaks the protocol over two streams, which nothing else may use. */
export async function serveStdio(server: Server, input: Readable, output: Writable): Promise<void> {
  await server.connect(new StdioServerTransport(input, output));
}

/**
 * The SDK's complaint without what it complains of: a form answered too late is such a message, and
 * holds what its human typed.
 */
function withoutContent({ message }: Error): Error {
  return new Error(message.replace(/[^\w ].*/s, "").trim());
}
