import { createKey, listAudit, listKeys, revokeKey } from "./access/operations.ts";
import { listEvents } from "./events/operations.ts";
import { beginRun, completeRun, failRun, heartbeat, releaseRun } from "./leases/operations.ts";
import type { AnyOperation } from "./operation.ts";
import { recoverRun, reviewStep, runVerdict } from "./recovery/operations.ts";
import { createRun, getRun, listRuns, overview } from "./runs/operations.ts";
import {
  diffState,
  labelState,
  listStreams,
  listVersions,
  readState,
  writeState,
} from "./state/operations.ts";
import {
  beginSteps,
  completeSteps,
  failSteps,
  getStep,
  listJournal,
  listSteps,
} from "./steps/operations.ts";

export {
  createKey,
  diffState,
  getRun,
  listAudit,
  listEvents,
  listKeys,
  listRuns,
  listSteps,
  listVersions,
  overview,
  readState,
  recoverRun,
  reviewStep,
  revokeKey,
  runVerdict,
};

/** Everything Tidebase can do, in the order the docs list it. */
export const operations: readonly AnyOperation[] = [
  createRun,
  beginRun,
  heartbeat,
  releaseRun,
  completeRun,
  failRun,
  getRun,
  listRuns,
  runVerdict,
  recoverRun,
  overview,
  beginSteps,
  completeSteps,
  failSteps,
  reviewStep,
  listJournal,
  listSteps,
  getStep,
  writeState,
  labelState,
  readState,
  listVersions,
  diffState,
  listStreams,
  listEvents,
  createKey,
  listKeys,
  revokeKey,
  listAudit,
];
