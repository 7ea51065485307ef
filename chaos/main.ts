import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { HELP, type Options, readOptions, UsageError } from "./options.ts";
import { type Ran, reportOf, textOf } from "./report.ts";
import type { StageResult } from "./stage.ts";
import { loadStage, SHARES, type StageId } from "./stages.ts";
import { endDescendants } from "./world/descendants.ts";
import { endHarnesses, temporary } from "./world/leftovers.ts";
import { removeLostMounts } from "./world/lost-mounts.ts";

async function main(): Promise<void> {
  const options = readOptions(process.argv.slice(2), () => Date.now() % 1_000_000);
  if (options === "help") {
    console.log(HELP);
    return;
  }
  const startedAt = performance.now();
  for (const place of await removeLostMounts())
    console.log(`unmounted ${place}, which a harness that was killed had left`);
  const evidence = options.evidence ?? join(tmpdir(), `tidebase-chaos-evidence-${Date.now()}`);
  console.log(`seed ${options.seed}; stages ${options.stages.join(", ")}`);
  const ran: Ran[] = [];
  for (const [index, id] of options.stages.entries()) {
    const left = options.budgetMs - (performance.now() - startedAt);
    ran.push(await runStage(id, options, evidence, left * shareOf(options.stages.slice(index))));
  }
  const report = reportOf(options.seed, ran, performance.now() - startedAt);
  console.log(textOf(report));
  if (options.json !== undefined)
    await writeFile(options.json, `${JSON.stringify(report, undefined, 2)}\n`);
  process.exitCode = report.problems.length === 0 ? 0 : 1;
}

/** The part of what is left of the time that the first of these stages may take. */
function shareOf([first, ...others]: readonly StageId[]): number {
  if (first === undefined) return 0;
  const all = [first, ...others].reduce((sum, id) => sum + SHARES[id], 0);
  return SHARES[first] / all;
}

/** A stage that throws is a problem like any other: the rest still runs. */
async function runStage(
  id: StageId,
  { seed, full, trials, faults, workloads, loads }: Options,
  evidence: string,
  budgetMs: number,
): Promise<Ran> {
  const startedAt = performance.now();
  const folder = await mkdtemp(join(tmpdir(), `tidebase-chaos-${id}-`));
  const forget = temporary(folder);
  await chmod(folder, 0o755); // as root, a Postgres in it runs as another user, who has to get through
  const told = (text: string): void => console.log(`${id}: ${text}`);
  let title: string = id;
  let result: StageResult;
  try {
    const place = join(evidence, id);
    const stage = await loadStage(id, { trials, faults, workloads, loads, evidence: place });
    title = stage.title;
    told(`${title} (about ${Math.round(budgetMs / 1000)} s)`);
    result = await stage.run({ seed, budgetMs: Math.max(0, budgetMs), full, folder, told });
  } catch (error) {
    const says = error instanceof Error ? (error.stack ?? error.message) : String(error);
    result = { tried: 0, promises: {}, problems: [`seed ${seed}: it threw: ${says}`], facts: {} };
  }
  await rm(folder, { recursive: true, force: true });
  forget();
  for (const problem of result.problems) told(`✗ ${problem}`);
  return { id, title, result, ms: performance.now() - startedAt };
}

/**
 * Whatever a stage has started ends with us, and the folders go: an exit sweeps them. Another harness that a stage has
 * started cleans up after itself first. A second signal waits for nobody.
 */
function stopOnSignal(): void {
  for (const [signal, code] of [
    ["SIGINT", 130],
    ["SIGTERM", 143],
    ["SIGHUP", 129],
  ] as const)
    process.once(signal, async () => {
      await endHarnesses();
      endDescendants();
      process.exit(code);
    });
}

stopOnSignal();
try {
  await main();
} catch (error) {
  if (!(error instanceof UsageError)) throw error;
  console.error(`chaos: ${error.message} --help tells more.`);
  process.exitCode = 2;
} finally {
  endDescendants(); // a stage that threw may have left some
}
process.exit();
