import { type Run, Tidebase } from "@tidebase/sdk";

/* One worker of a fleet: works on the runs of the queue `asks` until it is told to stop. */

/** What a run tells of itself when it is done. */
export interface Asked {
  readonly approved: boolean;
  /** The processes that did the step before and the step after the gate. */
  readonly pids: readonly number[];
}

const tide = new Tidebase();
tide.workflow("asks", async (run: Run<undefined>): Promise<Asked> => {
  const before = await run.step("before", () => process.pid);
  const { approved } = await run.gate("go on", { prompt: "May it go on?" });
  const after = await run.step("after", () => process.pid);
  return { approved, pids: [before, after] };
});
const worker = tide.work({ queues: ["asks"], concurrency: 10 });
console.log("working");
await worker.done;
await tide.close();
