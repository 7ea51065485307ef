/** graphile-worker: a queue in Postgres. A job that is done leaves the table. */
import { Logger, makeWorkerUtils, run } from "graphile-worker";

const logger = new Logger(() => () => {});
/** The settings its documentation names for throughput; they delay the pickup of a lone job. */
const BATCHED = { localQueue: { size: 500 }, completeJobBatchDelay: 0, failJobBatchDelay: 0 };

export async function open({ databaseUrl }) {
  const connection = { connectionString: databaseUrl, maxPoolSize: 20, logger };
  const utils = await makeWorkerUtils(connection);
  await utils.migrate();
  return {
    enqueue: (n) => utils.addJob("job", { n }),
    enqueueMany: (ns) => utils.addJobs(ns.map((n) => ({ identifier: "job", payload: { n } }))),
    async work(onJob, { backlog }) {
      const runner = await run({
        preset: { worker: { ...connection, concurrentJobs: 16, ...(backlog && BATCHED) } },
        noHandleSignals: true,
        taskList: { job: ({ n }) => onJob(n) },
      });
      return () => runner.stop();
    },
    close: () => utils.release(),
  };
}
