import type { Connection } from "../connection.ts";
import { isTidebaseError } from "../errors.ts";
import { newGrantId } from "../ids.ts";
import type { Operations } from "../operations.gen.ts";
import { sleep } from "../pause.ts";
import type { OnWait } from "../waits/waits.ts";
import { describeHolder, type Holder, isProvablyGone, thisProcess } from "./holder.ts";
import { type ResumeHint, resumeHint } from "./resume-hint.ts";

/** How a run is begun. */
export interface BeginOptions {
  /** Length of the lease in milliseconds. */
  readonly leaseMs?: number;
  /** Version of the workflow's code. */
  readonly version?: string;
  /**
   * What to do while another worker holds the run. `wait` (the default) says who holds it and takes
   * over when its lease lapses; `fail` throws `run_leased`.
   */
  readonly onLeased?: "wait" | "fail";
  /** How the run waits, unless a wait says otherwise. Default: the client's `onWait`. */
  readonly onWait?: OnWait;
}

type BeginAnswer = Operations["runs.begin"]["output"];
/** What an attempt needs, whether its run was begun or claimed. */
type Begun = Omit<BeginAnswer, "outcome" | "result" | "resultMeta">;
type JournalPage = Operations["steps.journal"]["output"];

/** A run whose lease was taken. */
export interface Granted {
  readonly begun: Begun;
  readonly grantId: string;
  /** When it was first asked for, by `performance.now()`. */
  readonly sentAt: number;
  readonly journal: Begun["journal"];
}

/** A begun run, or a completed one with its result. */
interface Answered extends Granted {
  readonly begun: BeginAnswer;
}

/** A release is noticed after so long at the latest. */
const ASK_AGAIN_MS = 2000;

let here: { readonly holder: Holder; readonly hint: ResumeHint } | undefined;

/** Takes the lease of the run and reads its journal to the end. */
export async function beginRun(
  { call, config }: Connection,
  runId: string,
  workflow: string,
  options: BeginOptions,
): Promise<Answered> {
  here ??= { holder: thisProcess(), hint: resumeHint() };
  const leaseMs = options.leaseMs ?? config.leaseMs;
  const version = options.version ?? config.version;
  const grantId = newGrantId();
  const input = {
    ...{ runId, grantId, workflow, holder: here.holder },
    ...(leaseMs !== undefined && { leaseMs }),
    ...(version !== undefined && { version }),
    ...(config.resumeHint && { resumeHint: here.hint }),
  };
  let gone: { goneEpoch?: number } = {};
  let told = false;
  for (;;) {
    const sentAt = performance.now();
    try {
      const begun = await call("runs.begin", { ...input, ...gone });
      return { begun, grantId, sentAt, journal: await readJournal(call, runId, begun) };
    } catch (error) {
      if (!isTidebaseError(error, "run_leased") || options.onLeased === "fail") throw error;
      const { holder, epoch, leaseLeftMs } = error.data;
      if (isProvablyGone(holder, here.holder) && gone.goneEpoch !== epoch) {
        gone = { goneEpoch: Number(epoch) };
        config.log(`Run ${runId}: ${describeHolder(holder)} is gone, its run is taken over.`);
        continue;
      }
      const leftMs = Number(leaseLeftMs);
      if (!told)
        config.log(
          `Run ${runId} is held by ${describeHolder(holder)}. Waiting; its lease lasts ${Math.ceil(leftMs / 1000)} s if it is not renewed.`,
        );
      told = true;
      await sleep(Math.min(leftMs + 1, ASK_AGAIN_MS));
    }
  }
}

/** All of the run's finished steps: the first page came with its grant. */
export async function readJournal(
  call: Connection["call"],
  runId: string,
  begun: JournalPage,
): Promise<Begun["journal"]> {
  const steps = [...begun.journal];
  for (let page: JournalPage = begun; page.afterName !== null && page.afterKey !== null; ) {
    const { afterName, afterKey } = page;
    page = await call("steps.journal", { runId, afterName, afterKey });
    for (const entry of page.journal) steps.push(entry);
  }
  return steps;
}
