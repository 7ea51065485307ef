import { join } from "node:path";
import type { Stage, StageContext, StageResult } from "../stage.ts";
import type { Profile } from "./profile.ts";
import { profiles } from "./profiles.ts";
import { type Outcome, runSuite } from "./suite.ts";

/** No profile should take as long. */
const LONGEST_MS = 600_000;
/** The fewest tests that must have passed for a profile to have shown anything. */
const FEWEST = 20;

/** The ordinary tests, unchanged, under circumstances that they were not written for. */
export const stage: Stage = {
  id: "profiles",
  title: "The ordinary suite under hostile profiles",
  async run(context: StageContext): Promise<StageResult> {
    const problems: string[] = [];
    const facts: Record<string, string> = {};
    const clean = new Set<string>();
    let tried = 0;
    for (const profile of chosen(context)) {
      const { id, control } = profile;
      if (control !== undefined && !clean.has(control)) {
        facts[id] = `not judged: ${control} failed`;
        context.told(`${id}: ${facts[id]}`);
        continue;
      }
      const ran = await runProfile(profile, context);
      const { passed, failures, seconds, starved } = ran;
      tried += passed;
      const late = starved.length === 0 ? "" : `, by itself alone: ${starved.join(" ")}`;
      facts[id] = `${passed} tests in ${seconds} s${late}`;
      context.told(`${id}: ${passed} passed, ${failures.length} failed in ${seconds} s`);
      const found = problemsOf(profile, ran, context.seed);
      problems.push(...found);
      if (found.length === 0) clean.add(id);
    }
    return { tried, promises: {}, problems, facts };
  },
};

function problemsOf({ id, title }: Profile, ran: Outcome, seed: number): string[] {
  const again = `TIDEBASE_SEED=${seed} npx vitest run -c chaos/profiles/${id}.config.ts`;
  const failed = ran.failures.map(
    ({ file, what }) =>
      `Under ${title}, ${file ?? "beside the tests"}: ${what} (${[again, ...named(file)].join(" ")})`,
  );
  const idle = `The profile ${id} shows nothing: ${ran.passed} tests passed (${again}).`;
  return ran.passed < FEWEST ? [...failed, idle] : failed;
}

const named = (file: string | undefined): string[] => (file === undefined ? [] : [file]);

/** All of them, or two by the seed: a short lease never without its control arm. */
function chosen({ full, seed }: StageContext): readonly Profile[] {
  if (full) return profiles;
  const quick = profiles.filter(({ id }) => !id.startsWith("lease-"));
  const first = seed % quick.length;
  return [...quick, ...quick].slice(first, first + 2);
}

/** An outcome, with the files that passed by themselves only. */
type Ran = Outcome & { readonly starved: readonly string[] };

async function runProfile(profile: Profile, context: StageContext): Promise<Ran> {
  const { files, telling, id } = profile;
  const { seed, full, folder } = context;
  const report = join(folder, `${id}.json`);
  const given = { seed, report, limitMs: LONGEST_MS };
  const all = await runSuite(profile, full ? files : files.slice(0, telling), given);
  return all.failures.length === 0 ? { ...all, starved: [] } : alone(profile, all, context);
}

/**
 * Two cores are soon too few for tests that measure time, and for leases of a second. What failed in company is run by
 * itself: what fails then too was not starved.
 */
async function alone(profile: Profile, all: Outcome, context: StageContext): Promise<Ran> {
  const failures = all.failures.filter(({ file }) => file === undefined);
  const starved: string[] = [];
  for (const file of new Set(all.failures.flatMap((failure) => named(failure.file)))) {
    const report = join(context.folder, `${profile.id}-alone.json`);
    const given = { seed: context.seed, report, limitMs: LONGEST_MS };
    const again = await runSuite(profile, [file], given);
    if (again.failures.length === 0) starved.push(file);
    failures.push(...again.failures);
  }
  return { ...all, failures, starved };
}
