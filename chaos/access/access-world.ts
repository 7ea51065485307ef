import { randomBytes, randomUUID } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { SCOPES } from "@tidebase/core";
import pg from "pg";
import { openClient } from "../input/client.ts";
import { fingerprinter } from "../input/fingerprint.ts";
import type { Execute } from "../input/good-input.ts";
import { startStdioClient } from "../input/mcp-client.ts";
import { opened } from "../input/opened.ts";
import { newKey, openOwnStore, startServing } from "../input/serving.ts";
import { openSink } from "../input/sink.ts";

const ROLE = "tidebase_chaos";
/** Longer than a server believes in a key it has seen. */
const REVOKED_MS = 5000;

/** Opens a store with keys, whose password for the database is a canary, and a server on it. */
export function openAccessWorld(folder: string) {
  return opened(async (later) => {
    const sink = await openSink();
    later(sink.close);
    const store = await openOwnStore(folder, [sink.allow]);
    later(store.close);
    const password = `dbpw-${randomBytes(12).toString("hex")}`;
    await store.query(`create role ${ROLE} login superuser password '${password}'`);
    const databaseUrl = Object.assign(new URL(store.databaseUrl), {
      username: ROLE,
      password,
    }).href;
    const owner = await newKey(store.execute, "owner", SCOPES);
    const decider = await newKey(store.execute, "decider", SCOPES);
    const variables = { TIDEBASE_WEBHOOK_ALLOW: sink.allow };
    const server = await startServing(folder, databaseUrl, variables);
    later(server.stop);
    const overStdio = await startStdioClient(folder, { TIDEBASE_DATABASE_URL: databaseUrl });
    later(overStdio.close);
    const client = openClient(server.url, owner.key);
    const human = openClient(server.url, decider.key);
    later(() => Promise.all([client.close(), human.close()]));
    const pool = new pg.Pool({ connectionString: store.databaseUrl, max: 1 });
    pool.on("error", () => {}); // the next query tells
    later(() => pool.end());
    const look = await fingerprinter(store.query);
    const keys = [owner.key, decider.key];
    return {
      sink,
      store,
      server,
      overStdio,
      client,
      human,
      pool,
      password,
      keys,
      look,
      role: ROLE,
    };
  });
}

/** All that the stage works with. */
export type AccessWorld = Awaited<ReturnType<typeof openAccessWorld>>;

/** An open gate that nobody has anything to do with. */
export async function openGate(execute: Execute): Promise<string> {
  const { runId } = await execute("runs.create", { workflow: "w" });
  const grantId = `grant_${randomUUID()}`;
  const { epoch } = await execute("runs.begin", { runId, grantId });
  const question = { runId, epoch, grantId, name: "pages", prompt: "May it?" };
  const { gate } = await execute("gates.open", question);
  return (gate as { gateId: string }).gateId;
}

/** How long a key that is in use still works after its end. */
export async function revokedInUse({
  store,
  server,
}: AccessWorld): Promise<{ readonly ms: number; readonly problems: string[] }> {
  const made = await newKey(store.execute, "short", ["read"]);
  const own = openClient(server.url, made.key, 1);
  const first = await own.get("/v1/overview");
  await store.execute("keys.revoke", { keyId: made.keyId });
  const since = performance.now();
  let last = first.status;
  while (last !== 401 && performance.now() - since < REVOKED_MS) {
    await delay(50);
    last = (await own.get("/v1/overview")).status;
  }
  await own.close();
  const ms = Math.round(performance.now() - since);
  const right = first.status === 200 && last === 401;
  return { ms, problems: right ? [] : [`A revoked key was answered ${last} after ${ms} ms.`] };
}
