import { join } from "node:path";
import { ensureCluster, openThrowaway, stopCluster } from "@tidebase/core";
import { randomFor } from "../random.ts";
import type { Stage, StageContext, StageResult } from "../stage.ts";
import { openBench } from "./bench.ts";
import { dealt, everyCase } from "./cases.ts";
import { type Case, openStand } from "./stand.ts";
import { type Tried, tryCase } from "./trial.ts";

/** Orders of one case at most; the few with more are sampled. */
const ORDERS_FULL = 24;
const ORDERS_SAMPLED = 8;
/** Databases in which cases run at the same time. */
const BENCHES = 2;
const PROBLEMS_MAX = 20;

/** Postgres of a stage: nothing here needs to survive a power cut, and a deadlock is to end soon. */
const SETTINGS = {
  fsync: "off",
  full_page_writes: "off",
  synchronous_commit: "off",
  deadlock_timeout: "100ms",
};

type Pair = Case["names"];
const anyOf =
  (of: RegExp) =>
  (names: Pair): boolean =>
    names.some((name) => of.test(name));

/** The promises that a pair of operations puts to the test (reliability.md §1.3). */
const PROMISES: Readonly<Record<string, (names: Pair) => boolean>> = {
  P2: anyOf(/^(?:begin|claim|lose)/),
  P3: anyOf(/^(?:heartbeat|complete|fail|write|release|suspend)/),
  P5: anyOf(/^(?:approve|reject|expire)/),
  P10: anyOf(/^(?:cancel|pass deadlines|drop unclaimed|complete$)/),
  // The log is read after every order; of a run that was deleted there is none.
  P11: (names) => !names.includes("retention"),
  P13: anyOf(/^write state/),
  P15: anyOf(/^retention/),
};

export const stage: Stage = {
  id: "interleave",
  title: "Every pair of operations on one run, statement by statement, in every order",
  async run(context) {
    const home = join(context.folder, "postgres");
    const { url } = await ensureCluster({ home, settings: SETTINGS });
    try {
      return await tryCases(context, url);
    } finally {
      await stopCluster({ home });
    }
  },
};

interface Found {
  readonly one: Case;
  readonly tried: Tried;
}

async function tryCases(context: StageContext, adminUrl: string): Promise<StageResult> {
  const { seed, full, budgetMs, told } = context;
  const random = randomFor(seed, "interleave");
  const cases = dealt(everyCase(), random);
  const bounds = { limit: full ? ORDERS_FULL : ORDERS_SAMPLED, random };
  const since = performance.now();
  const left = cases.values();
  const found: Found[] = [];
  const failures: string[] = [];
  let [idle, deadlocks] = [0, 0];

  async function work(): Promise<void> {
    const throwaway = await openThrowaway({ databaseUrl: adminUrl });
    const bench = await openBench(throwaway.databaseUrl);
    try {
      const stand = await openStand(bench);
      for (const one of left) {
        if (!full && performance.now() - since > budgetMs) return;
        const tried = await tryCase(stand, one, bounds).catch((error: unknown) => {
          failures.push(`${one.names.join(" × ")} from ${one.start}: ${String(error)}`);
          throw error; // its lanes may be stuck
        });
        if (tried === undefined) idle += 1;
        else found.push({ one, tried });
        if (tried !== undefined && tried.problems.length > 0)
          told(`problems with ${one.names.join(" × ")} from ${one.start}`);
        if ((found.length + idle) % 500 === 0)
          told(`${found.length + idle} of ${cases.length} cases`);
      }
    } finally {
      for (const { lane } of bench.seats) deadlocks += lane.deadlocks;
      await bench.close();
      await throwaway.drop();
    }
  }
  await Promise.allSettled(Array.from({ length: BENCHES }, work)).then((ends) => {
    const thrown = ends.find((end) => end.status === "rejected");
    if (thrown !== undefined && failures.length === 0) failures.push(String(thrown.reason));
  });
  const problems = [...failures, ...found.flatMap(({ tried }) => tried.problems)];
  const seconds = Math.round((performance.now() - since) / 1000);
  return {
    tried: sum(found, ({ orders }) => orders),
    promises: clean(found),
    problems: problems.slice(0, PROBLEMS_MAX).map((problem) => `seed ${seed}: ${problem}`),
    facts: {
      ...figures(found),
      deadlocks,
      casesWithNothingToDo: idle,
      problems: problems.length,
      seconds,
    },
  };
}

function figures(found: readonly Found[]) {
  return {
    pairs: new Set(found.map(({ one }) => one.names.join(" × "))).size,
    startStates: new Set(found.map(({ one }) => one.start)).size,
    cases: found.length,
    orders: sum(found, ({ orders }) => orders),
    ordersAtTheLock: sum(found, ({ atLock }) => atLock),
    statementsThatWaited: sum(found, ({ blocked }) => blocked),
    casesSampled: sum(found, ({ isWhole }) => (isWhole ? 0 : 1)),
  };
}

function sum(found: readonly Found[], of: (tried: Tried) => number): number {
  return found.reduce((total, { tried }) => total + of(tried), 0);
}

/** Orders without a problem, by the promises that their operations put to the test. */
function clean(found: readonly Found[]): Record<string, number> {
  const good = found.filter(({ tried }) => tried.problems.length === 0);
  return Object.fromEntries(
    Object.entries(PROMISES).map(([promise, isAbout]) => {
      const about = good.filter((found) => isAbout(found.one.names));
      return [promise, sum(about, ({ orders }) => orders)];
    }),
  );
}
