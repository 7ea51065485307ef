import type { Server } from "@modelcontextprotocol/sdk/server/index.js";
import { createServer } from "./adapter-v1.ts";
import { isEmbedded, serveBeside } from "./api/beside.ts";
import type { Request } from "./arguments.ts";
import { connectLazily, openConnection } from "./connection.ts";
import { lineOf, type Program } from "./program.ts";
import { toolsFor } from "./tools/index.ts";
import { readVersion } from "./version.ts";

/** What is behind the handshake: the tools, their store and its API. */
export interface Offer {
  /** Resolves when no call is being answered. */
  idle(): Promise<void>;
  /** Whether the store is being opened now. */
  isOpening(): boolean;
  /** Looks for the store without waiting for a call, so that programs find its API. */
  begin(): void;
  close(): Promise<void>;
}

export type Serving = Extract<Request, { kind: "serve" }>;

/** Offers the tools on a server that may speak to its client already. Opens nothing. */
export function openOffer(server: Server, program: Program, settings: Serving): Offer {
  const { env, log } = program;
  const { readOnly, toolsets } = settings;
  const tools = toolsFor({ readOnly, toolsets, tools: settings.tools });
  const { connection, begin, close } = openStoreFor(program, {
    ...settings,
    enqueues: tools.some(({ toolset }) => toolset === "start"),
  });
  const options = {
    tools,
    connection,
    version: readVersion(),
    ownRunId: env["TIDEBASE_RUN_ID"],
    onError: (error: unknown) => log(lineOf(error)),
  };
  const { idle } = createServer(options, server);
  return { idle, isOpening: connection.isOpening, begin, close };
}

/** Until then a client that only wants to know what there is has left again. */
const SETTLED_MS = 500;
/** Programs wait for the API, and no call of a tool may ever come. */
const AGAIN_MS = 10_000;

/** The store of the tools, with its API beside them where that is asked for; `begin` does not wait for a call. */
function openStoreFor({ env, cwd, log }: Program, settings: Serving & { enqueues: boolean }) {
  const { readOnly, allowWrites, enqueues, api } = settings;
  const open = () => openConnection({ env, cwd, readOnly, allowWrites, enqueues });
  const beside = api ? serveBeside({ env, open, log }) : { open, close: async () => {} };
  const connection = connectLazily(beside.open);
  let begun = !api || readOnly;

  let failure: string | undefined;
  async function connect(): Promise<void> {
    if (!(await isEmbedded(env, cwd))) return;
    try {
      await connection.get();
    } catch (error) {
      if (failure !== lineOf(error)) log(lineOf(error));
      failure = lineOf(error);
      setTimeout(connect, AGAIN_MS).unref();
    }
  }

  function begin(): void {
    if (!begun) setTimeout(connect, SETTLED_MS).unref();
    begun = true;
  }

  async function close(): Promise<void> {
    await beside.close();
    await connection.close();
  }
  return { connection, begin, close };
}
