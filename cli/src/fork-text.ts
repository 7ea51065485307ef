import type { forkRun } from "@tidebase/core";
import { count, facts, type Paint, plain, shellLine } from "./output.ts";
import { type Answer, type Read, stepName } from "./run-text.ts";

type Plan = Read<Answer<typeof forkRun>>;
type Named = { readonly name: string; readonly key: string };

/** `runs fork` and `runs rerun`: what is kept, what happens anew, and what to do next. */
export function forkText(paint: Paint, plan: Plan): string {
  const { dryRun, runId, created, status, queue, seq, forkedFrom, signals } = plan;
  const hint = plan.resumeHint as { command: string[]; cwd?: string } | null;
  const made = `${runId} is ${status}${created ? "" : ", as an earlier call had made it"}`;
  const { atSeq } = forkedFrom;
  return (
    facts(paint, [
      [dryRun ? "dry run" : "done", dryRun ? "nothing was made" : made],
      ["departs", atSeq === 0 ? "before anything" : `after event ${atSeq} of ${forkedFrom.runId}`],
      ["kept", `${count(plan.keptSteps, "step")}, which never run again${shown(plan.kept)}`],
      ["edited", listed(plan.kept.filter(({ edited }) => edited))],
      ["run again", `${count(plan.runAgainSteps, "step")}, ${repeating(plan.repeatedEffects)}`],
      ["asked again", listed(plan.gatesAskedAgain)],
      ["children anew", listed(plan.childrenAnew)],
      ["timers anew", listed(plan.timersAnew)],
      ["signals", signals === 0 ? undefined : `${signals} not taken by then`],
      ["state", listed(plan.streams.map(versionOf))],
      ["queue", queue === null ? undefined : plain(queue)],
      ...plan.warnings.map((warning) => ["warning", paint("yellow", plain(warning))] as const),
      ["resume hint", hint === null ? undefined : `${shellLine(hint.command, hint.cwd)} (source)`],
      ["next", plain(plan.next)],
      ["asOf", String(seq)],
      ["to do it", dryRun ? `add --apply --as-of ${seq}` : undefined],
    ]) + plan.runAgain.map((step) => againText(paint, step)).join("")
  );
}

function versionOf({ stream, version }: Plan["streams"][number]): Named {
  return { name: `${stream} ${version}`, key: "" };
}

function againText(paint: Paint, step: Plan["runAgain"][number]): string {
  const { status, sideEffects, repeatsEffects, why } = step;
  const word = repeatsEffects ? paint("red", "would repeat effects") : paint("green", "runs again");
  const about = facts(paint, [
    ["why", plain(why)],
    ["effects", sideEffects.length === 0 ? undefined : plain(sideEffects.join(", "))],
  ]);
  const head = `${paint("bold", stepName(step))}: ${status} in the source; ${word}\n`;
  return `${head}${about.replace(/^/gm, "  ").trimEnd()}\n`;
}

const NAMED_MAX = 10;

function listed(list: readonly Named[]): string | undefined {
  if (list.length === 0) return undefined;
  const more = list.length > NAMED_MAX ? ` and ${list.length - NAMED_MAX} more` : "";
  return `${list.slice(0, NAMED_MAX).map(stepName).join(", ")}${more}`;
}

/** The latest of them: there the fork departs. */
function shown(kept: readonly Named[]): string {
  if (kept.length === 0) return "";
  const before = kept.length > NAMED_MAX ? "…, " : "";
  return `: ${before}${kept.slice(-NAMED_MAX).map(stepName).join(", ")}`;
}

function repeating(n: number): string {
  return n === 0 ? "none of which repeats an effect" : `${n} of which would repeat an effect`;
}
