/** DBOS: a library in the user's process, on Postgres alone. */
import { randomUUID } from "node:crypto";
import { DBOS, DBOSClient } from "@dbos-inc/dbos-sdk";
import { OUTPUT } from "../payload.mjs";
import { deferred, now, timeEach } from "../statistics.mjs";

const QUEUE = "bench";
const POOL = 20;
const POLL_MS = 20;
const PLANNED = "planned";

/** What a workflow's code tells of itself, by the workflow's id. */
const heard = new Map();
let onJob = () => {};

const step = (n) => DBOS.runStep(async () => OUTPUT, { name: `s${n}` });

const steps = DBOS.registerWorkflow(
  async (count) => void heard.set(DBOS.workflowID, await timeEach(count, step)),
  { name: "steps" },
);
const failing = DBOS.registerWorkflow(
  async (count) => {
    await timeEach(count, step);
    await DBOS.runStep(async () => fail(DBOS.workflowID), { name: "new" });
  },
  { name: "failing" },
);
DBOS.registerWorkflow(async (n) => onJob(n), { name: "job" });
const gate = DBOS.registerWorkflow(
  async () => {
    const { waiting, goesOn } = heard.get(DBOS.workflowID);
    waiting(DBOS.workflowID);
    await DBOS.recv("decision", 600);
    goesOn();
  },
  { name: "gate" },
);

function fail(workflowId) {
  heard.get(workflowId)?.resolve(now());
  throw new Error(PLANNED);
}

export async function open({ role, databaseUrl }) {
  const pool = { systemDatabaseUrl: databaseUrl, systemDatabasePoolSize: POOL };
  DBOS.setConfig({
    ...pool,
    name: "bench",
    applicationVersion: "bench",
    executorID: role,
    logger: { info() {}, debug() {}, warn() {}, error: complain },
    ...(role === "client" && { listenQueues: [] }),
  });
  if (role === "client") await launch();
  const client = role === "client" ? await DBOSClient.create(pool) : undefined;
  const start = (workflow, workflowID = randomUUID()) =>
    DBOS.startWorkflow(workflow, { workflowID });
  const job = { workflowName: "job", queueName: QUEUE, appVersion: "bench" };
  return {
    async steps(count) {
      const handle = await start(steps)(count);
      await handle.getResult();
      const times = heard.get(handle.workflowID);
      heard.delete(handle.workflowID);
      return times;
    },
    async prepare(count) {
      const handle = await start(failing)(count);
      await handle.getResult().catch(onlyPlanned);
      return handle.workflowID;
    },
    resume,
    enqueue: (n) => client.enqueue({ ...job, workflowID: randomUUID() }, n),
    async work(listener) {
      onJob = listener;
      await launch();
      return () => DBOS.shutdown();
    },
    async gate(listener) {
      await launch();
      const workflowId = randomUUID();
      heard.set(workflowId, listener);
      await start(gate, workflowId)();
    },
    decision: async (workflowId) => () => client.send(workflowId, { approved: true }, "decision"),
    async close() {
      await client?.destroy();
      if (DBOS.isInitialized()) await DBOS.shutdown();
    },
  };
}

/** A process that is launched works on its queues at once. */
async function launch() {
  if (DBOS.isInitialized()) return;
  await DBOS.launch();
  const limits = { workerConcurrency: 16, minPollingIntervalMs: POLL_MS };
  await DBOS.registerQueue(QUEUE, { ...limits, onConflict: "always_update" });
}

/** Goes back to the step that failed: all before it are replayed. */
async function resume(workflowId, count) {
  const reached = deferred();
  heard.set(workflowId, reached);
  const started = now();
  const handle = await DBOS.rewindWorkflow(workflowId, { startStep: count });
  const ms = (await reached.promise) - started;
  await handle.getResult().catch(onlyPlanned);
  return { ms };
}

function onlyPlanned(error) {
  if (!String(error).includes(PLANNED)) throw error;
}

function complain(error) {
  if (!String(error).includes(PLANNED)) console.error(error);
}
