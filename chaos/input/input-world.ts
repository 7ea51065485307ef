import type { Target } from "./attack.ts";
import { openClient } from "./client.ts";
import { fingerprinter } from "./fingerprint.ts";
import { startHttpClient, startStdioClient } from "./mcp-client.ts";
import { opened } from "./opened.ts";
import { type Ledger, openLedger } from "./rows.ts";
import { newKey, openOwnStore, startServing } from "./serving.ts";
import { openSink } from "./sink.ts";

const SCOPES = ["read", "work", "enqueue", "operate", "approve", "admin"];

/** Opens a store, a server on it with keys, and clients of every kind. */
export function openInputWorld(folder: string, seed: number) {
  return opened(async (later) => {
    const sink = await openSink();
    later(sink.close);
    const store = await openOwnStore(folder, [sink.allow]);
    later(store.close);
    const { key } = await newKey(store.execute, "attacker", SCOPES);
    const other = await newKey(store.execute, "stranger", SCOPES);
    const settings = {
      TIDEBASE_WEBHOOK_ALLOW: sink.allow,
      TIDEBASE_GATE_FLOOR: "client_form", // or a store with keys admits no form
    };
    const server = await startServing(folder, store.databaseUrl, settings);
    later(server.stop);
    const client = openClient(server.url, key);
    const stranger = openClient(server.url, other.key, 1);
    later(() => Promise.all([client.close(), stranger.close()]));
    const overHttp = await startHttpClient(client);
    const variables = { TIDEBASE_DATABASE_URL: store.databaseUrl };
    const overStdio = await startStdioClient(folder, variables);
    later(overStdio.close);
    const target: Target = { client, execute: store.execute, webhookUrl: sink.url, seed };
    const ledger: Ledger = openLedger();
    const problems: string[] = [];
    const look = await fingerprinter(store.query);
    return { target, server, key, stranger, overHttp, overStdio, ledger, problems, look };
  });
}

/** All that the stage works with. */
export type InputWorld = Awaited<ReturnType<typeof openInputWorld>>;
