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
  const first = await sweeper([database.url], at).ended;
  const isMeant = first.died !== undefined || first.code === 0;
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
      ...left.map((what) => `not at rest: ${what}`),
    ];
    return { points: first.passed, died: first.died, recoveryMs, problems };
  } finally {
    await core.close();
  }
}
