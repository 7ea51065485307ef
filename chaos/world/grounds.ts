import { chmod, mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Effect } from "../history/evidence.ts";
import { readLines } from "../history/read-lines.ts";
import { startActor } from "./actors.ts";
import { openCluster, type TrialCluster } from "./cluster.ts";
import { temporary } from "./leftovers.ts";
import { bundlePrograms, type Programs } from "./programs.ts";

/** What the trials of one process share: a Postgres and the oracle, neither of which a fault ends for good. */
export interface Grounds {
  readonly folder: string;
  readonly cluster: TrialCluster;
  readonly programs: Programs;
  readonly oracle: {
    readonly url: string;
    /** What the steps of this trial have done so far. */
    effects(trial: string): Promise<Effect[]>;
  };
  /** A name that no other trial on these grounds has. */
  databaseName(): string;
  close(): Promise<void>;
}

/** Starts them in a temporary folder of their own, which goes with them. */
export async function openGrounds(): Promise<Grounds> {
  const folder = await mkdtemp(join(tmpdir(), "tidebase-chaos-"));
  const forget = temporary(folder);
  await chmod(folder, 0o755); // as root, Postgres runs as another user, who has to get through
  const effects = join(folder, "oracle");
  await mkdir(effects);
  const [cluster, programs] = await Promise.all([
    openCluster(join(folder, "postgres")),
    bundlePrograms(join(folder, "programs")),
  ]);
  const oracle = await startActor({
    ...{ name: "oracle", role: "oracle", file: programs.oracle, parameters: [effects] },
    ...{ ready: /http:\S+/, variables: () => ({}), ended: () => {} },
  });
  let databases = 0;
  return {
    folder,
    cluster,
    programs,
    oracle: {
      url: oracle.printed?.[0] ?? "",
      effects: (trial) => readLines<Effect>(join(effects, `${trial}.jsonl`)),
    },
    databaseName() {
      databases += 1;
      return `trial_${databases}`;
    },
    async close() {
      await oracle.kill();
      await cluster.close();
      await rm(folder, { recursive: true, force: true });
      forget();
    },
  };
}
