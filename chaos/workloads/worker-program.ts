import { setTimeout as sleep } from "node:timers/promises";
import { Tidebase } from "@tidebase/sdk";
import { openLog } from "../history/recorder.ts";
import { readWorkerConfig, type WorkerConfig } from "./config.ts";
import { resumePlainRuns } from "./plain-runs.ts";
import { register } from "./workflows.ts";

/*
 * A worker of a trial: works on the runs of the queues, and begins those that are in none by their ids, until it is told to
 * end or killed. It drains on SIGTERM.
 */

const QUEUES = ["work", "jobs-1", "jobs-3", "jobs-10", "cron"];
/** Few, because a slow machine that works on much at once keeps none of its short leases. */
const CONCURRENCY = 8;
/** Shorter than Docker's ten seconds, as users have it. */
const DRAIN_MS = 4000;

async function work(config: WorkerConfig): Promise<void> {
  const { url, apiKey, oracleUrl, name: proc, leaseMs } = config;
  const log = openLog(config.log, proc);
  // Its name as the version of its code: so each begin in a run's log tells who it was.
  const tide = new Tidebase({ url, apiKey, leaseMs, version: proc, log: () => {} });
  register(tide, { proc, leaseMs, oracleUrl, log });
  const told = new AbortController();
  process.once("SIGTERM", () => told.abort());
  const worker = tide.work({
    queues: QUEUES,
    concurrency: CONCURRENCY,
    drainMs: DRAIN_MS,
    onError: () => {}, // the history tells of it
  });
  process.stdout.write("ready\n");
  await resumePlainRuns({ tide, recorder: log.of("W1"), signal: told.signal });
  await worker.done;
  await tide.close();
  log.close();
}

const config = readWorkerConfig();
// Workers that look at the list at the same instants would race for every run.
await sleep((config.seed % 10) * 70);
await work(config);
