import { randomUUID } from "node:crypto";
import { openCore } from "@tidebase/core";
import { now } from "../history/evidence.ts";
import { readFinally } from "../history/final-read.ts";
import { type Chore, prepareChore } from "./chore.ts";
import type { PointDatabase } from "./databases.ts";
import { judged } from "./judged.ts";
import type { Begin } from "./life.ts";
import { readOutcome } from "./outcome.ts";
import type { Place } from "./place.ts";
import { untilRest } from "./rest.ts";
import type { Stand } from "./served-load.ts";
import { badEnd, type PointLoad, type Trial } from "./trial.ts";

/** A sweep with due rows: a process settles them and dies of it, this one finishes. */
export function sweepLoad(chore: Chore, { databases, receiver }: Stand, sweeper: Begin): PointLoad {
  const id = `sweep ${chore.id}`;
  return {
    id,
    promises: chore.promises,
    prepare: () => databases.template(chore.id, (url) => prepareChore(chore, url, receiver.url)),
    async trial(at) {
      const name = randomUUID();
      const database = await databases.copy(chore.id);
      await receiver.attach(database, name);
      try {
        const swept = await sweep(chore, database, sweeper, at);
        const final = await readFinally(database);
        const problems = [
          ...swept.problems,
          ...judged({ final, received: receiver.received(name), lines: [] }),
        ];
        return { ...swept, at, problems, outcome: await readOutcome(database) };
      } finally {
        await database.drop();
      }
    },
  };
}

async function sweep(
  chore: Chore,
  database: PointDatabase,
  sweeper: Begin,
  at: Place | undefined,
): Promise<Pick<Trial, "points" | "died" | "recoveryMs" | "problems">> {
  const due = await unsettled(chore, database);
  const first = await sweeper([database.url], at).ended;
  const isMeant = first.died !== undefined || first.code === 0;
  const idle = at === undefined ? idleOf(chore, due, await unsettled(chore, database)) : [];
  const core = openCore({
    databaseUrl: database.url,
    poolMax: 3,
    sweepEveryMs: 30,
    sweepGraceMs: 0,
    webhooks: { allow: ["127.0.0.1"] },
  });
  try {
    const left = await untilRest(database, { unrest: chore.unrest });
    const recoveryMs = first.died === undefined ? 0 : now() - first.at;
    await core.settle();
    const problems = [
      ...(isMeant ? [] : [badEnd(first)]),
      ...idle,
      ...left.map((what) => `not at rest: ${what}`),
    ];
    return { points: first.passed, died: first.died, recoveryMs, problems };
  } finally {
    await core.close();
  }
}

/** What of `due` the process under test has not settled, before anybody else can. */
function idleOf({ isLater }: Chore, due: readonly string[], left: readonly string[]): string[] {
  if (isLater === true && left.length < due.length) return [];
  return left.map((what) => `its own process has not settled: ${what}`);
}

async function unsettled({ unrest }: Chore, database: PointDatabase): Promise<readonly string[]> {
  return (await database.query(unrest)).map(({ what }) => String(what));
}
