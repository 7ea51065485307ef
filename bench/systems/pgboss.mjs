/** pg-boss: a queue in Postgres. */
import { PgBoss } from "pg-boss";

const QUEUE = "bench";
/** Woken by NOTIFY, one fetcher of up to 16 jobs that asks again at once while there are more. */
const WORKING = { batchSize: 16, burstWhenBatchFull: true, localConcurrency: 1 };

export async function open({ databaseUrl }) {
  const boss = new PgBoss({ connectionString: databaseUrl, max: 20, useListenNotify: true });
  boss.on("error", (error) => console.error(error));
  boss.on("warning", () => {});
  await boss.start();
  await boss.createQueue(QUEUE, { notify: true });
  return {
    enqueue: (n) => boss.send(QUEUE, { n }),
    enqueueMany: (ns) =>
      boss.insert(
        QUEUE,
        ns.map((n) => ({ data: { n } })),
      ),
    async work(onJob) {
      await boss.work(QUEUE, WORKING, async (jobs) => {
        for (const { data } of jobs) onJob(data.n);
      });
      return () => boss.offWork(QUEUE, { wait: true });
    },
    close: () => boss.stop({ graceful: false, close: true }),
  };
}
