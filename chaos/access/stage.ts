import { wrongOf } from "../input/http-call.ts";
import type { Stage, StageContext, StageResult } from "../stage.ts";
import { type AccessWorld, openAccessWorld, openGate, revokedInUse } from "./access-world.ts";
import { openCallers } from "./callers.ts";
import { hunt } from "./hunt.ts";
import { type Found, tryOperations, tryOtherPaths, tryPages, undescribed } from "./matrix.ts";
import { tableProblems } from "./reach.ts";
import { tryTools } from "./tool-matrix.ts";

/**
 * Every route and every tool in the name of every kind of caller, and secrets looked for wherever the product
 * says something (model.md §16).
 */
export const stage: Stage = {
  id: "access",
  title: "Who may do what, and where secrets are",
  async run(context) {
    const world = await openAccessWorld(context.folder);
    try {
      return await looked(context, world);
    } finally {
      await world.close();
    }
  },
};

async function looked({ seed, told }: StageContext, world: AccessWorld): Promise<StageResult> {
  const { server, store, sink, look } = world;
  const audit = wrongOf(await world.client.get("/v1/audit")); // what the server noted when it began is in it
  const callers = await openCallers(server.url, store.execute, store.query);
  const matrix = { callers, execute: store.execute, webhookUrl: sink.url, look };
  const nobody = callers[0]?.client ?? world.client;
  const operations = await tryOperations(matrix);
  told(`${operations.tried} calls of operations by ${callers.length} callers`);
  const paths = await tryOtherPaths(matrix);
  const gate = await openGate(store.execute);
  const pages = await tryPages(nobody, gate, matrix);
  const tools = await tryTools(matrix);
  told(`${tools.tried} calls of tools`);
  const revoked = await revokedInUse(world);
  const hunted = await hunt(world);
  told(`${hunted.canaries} words and secrets looked for in ${hunted.places} places`);
  await Promise.all(callers.map(({ client }) => client.close()));
  const all: Found[] = [operations, paths, pages, tools];
  const tried = all.reduce((sum, found) => sum + found.tried, 0);
  return {
    tried: tried + hunted.canaries,
    promises: {},
    problems: [
      ...(audit === undefined ? [] : [`The audit trail ${audit}`]),
      ...tableProblems(),
      ...all.flatMap(({ problems }) => problems),
      ...(await undescribed(world.client)),
      ...revoked.problems,
      ...hunted.problems,
      ...hunted.unkept.map((name) => `The word of ${name} is in no row: it proves nothing.`),
      ...server.log.problems(),
    ].map((problem) => `${problem} (seed ${seed})`),
    facts: {
      callers: callers.length,
      "calls of operations": `${operations.tried}, ${operations.done} of them done`,
      "calls of other paths": paths.tried,
      "posts to the gate pages without a session": pages.tried,
      "calls of tools": `${tools.tried}, ${tools.done} of them done`,
      "ms until a revoked key was refused": revoked.ms,
      "words and secrets planted": hunted.canaries,
      "places looked at": hunted.places,
      "lines of log": server.log.lines().length,
    },
  };
}
