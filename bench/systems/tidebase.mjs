/** Tidebase by its SDK alone, over HTTP. */
import { Tidebase } from "../../sdk/dist/index.js";
import { OUTPUT } from "../payload.mjs";
import { timeEach } from "../statistics.mjs";
import { decision, gatesOf } from "./tidebase-gates.mjs";
import { prepare, resume } from "./tidebase-resume.mjs";
import { streamsOf } from "./tidebase-streams.mjs";

const QUEUE = "bench";

export async function open({ url }) {
  const tide = new Tidebase({ url });
  const step = (run, n) => run.step("s", { key: String(n) }, () => OUTPUT);
  const job = (n) => ({ queue: QUEUE, input: { n } });
  return {
    steps: (count) => tide.run("steps", {}, (run) => timeEach(count, (n) => step(run, n))),
    prepare: (count) => prepare(url, count),
    resume: (runId, count) => resume(url, runId, count),
    enqueue: (n) => tide.enqueue("job", job(n)),
    enqueueMany: (ns) => tide.enqueueMany("job", ns.map(job)),
    work: (onJob) => work(url, onJob),
    gate: gatesOf(tide),
    decision: (gateId) => decision(tide, gateId),
    operations: streamsOf(tide),
    close: () => tide.close(),
  };
}

async function work(url, onJob) {
  const tide = new Tidebase({ url });
  tide.workflow("job", ({ input }) => onJob(input.n));
  tide.work({ queues: [QUEUE], concurrency: 16 });
  return () => tide.close();
}
