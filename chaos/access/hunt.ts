import { setTimeout as delay } from "node:timers/promises";
import { openClient } from "../input/client.ts";
import type { AccessWorld } from "./access-world.ts";
import { Canaries, CHANNEL, leaked, leakedRows, logged, type Said, unkept } from "./canaries.ts";
import { decideAsHuman } from "./human.ts";
import { channelSecrets, plant } from "./planting.ts";
import { provoke } from "./provoking.ts";
import { readAll } from "./reading.ts";

/** What became of what was planted. */
export interface Hunted {
  readonly canaries: number;
  readonly places: number;
  readonly problems: readonly string[];
  /** Fields whose word is in no row: it was refused or thrown away, and proves nothing. */
  readonly unkept: readonly string[];
}

const DELIVERED_MS = 20_000;

/** Plants words and secrets everywhere, has them read, refused and delivered, and looks where they are. */
export async function hunt(world: AccessWorld): Promise<Hunted> {
  const { client, human, server, overStdio, sink, pool } = world;
  const canaries = new Canaries();
  canaries.secret("database password", "the server", world.password);
  for (const key of world.keys) canaries.secret("key", "a caller", key);
  const planted = await plant(client, canaries, sink);
  const opened = await caughtOf(world, planted.gateId);
  if (opened !== undefined) await channelSecrets(canaries, opened);
  const said: Said[] = [];
  said.push(...(await decideAsHuman(human, canaries, planted)));
  const read = await readAll(client, overStdio, planted);
  said.push(...read.said);
  const stranger = (key: string) => openClient(server.url, key, 1);
  said.push(...(await provoke(client, stranger, overStdio, canaries)));
  said.push(...(await withoutDatabase(world)));
  for (const { headers, body } of sink.caught) {
    const place = body.includes('"gate.opened"') ? CHANNEL : "a webhook's message";
    said.push({ place, text: `${JSON.stringify(headers)} ${body}` });
  }
  const holding = (text: string) => [...server.log.holding(text), ...overStdio.log.holding(text)];
  const lost = await unkept(canaries, pool);
  return {
    canaries: canaries.all.length,
    places: said.length + server.log.lines().length,
    unkept: lost,
    problems: [
      ...(opened === undefined ? ["The gate was never told to its channel."] : []),
      ...read.problems,
      ...leaked(canaries, said),
      ...(await leakedRows(canaries, pool)),
      ...logged(canaries, holding),
    ],
  };
}

/** The message by which the channel heard of the gate. */
async function caughtOf({ sink }: AccessWorld, gateId: string): Promise<string | undefined> {
  const until = performance.now() + DELIVERED_MS;
  while (performance.now() < until) {
    const found = sink.caught.find(
      ({ body }) => body.includes('"gate.opened"') && body.includes(gateId),
    );
    if (found !== undefined) return found.body;
    await delay(50);
  }
  return undefined;
}

/** The server loses its database for a moment, and says so to everybody: without saying how it comes in. */
async function withoutDatabase({ client, overStdio, store, role }: AccessWorld): Promise<Said[]> {
  const said: Said[] = [];
  await store.query(`alter role ${role} nologin`);
  try {
    await store.query("select pg_terminate_backend(pid) from pg_stat_activity where usename = $1", [
      role,
    ]);
    for (const path of ["/v1/overview", "/v1/runs", "/ready", "/health"])
      said.push({ place: `${path} without a database`, text: (await client.get(path)).text });
    const answer = await overStdio.ask("tools/call", { name: "tidebase_overview" });
    said.push({ place: "a tool without a database", text: JSON.stringify(answer) });
  } finally {
    await store.query(`alter role ${role} login`);
  }
  return said;
}
