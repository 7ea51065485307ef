import { createKey, listAudit, listKeys, revokeKey } from "./access/operations.ts";
import { listDeliveries, redeliver } from "./deliveries/operations.ts";
import { listEvents } from "./events/operations.ts";
import {
  askForm,
  extendGate,
  getGate,
  issueCode,
  listGates,
  openGate,
  redeemGate,
  resolveGate,
} from "./gates/operations.ts";
import { beginRun, completeRun, failRun, heartbeat, releaseRun } from "./leases/operations.ts";
import type { AnyOperation } from "./operation.ts";
import { recoverRun, reviewStep, runVerdict } from "./recovery/operations.ts";
import { createRun, getRun, listRuns, overview } from "./runs/operations.ts";
import { linkSession } from "./sessions/operations.ts";
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
import { sendSignal, setTimer, suspendRun, takeSignal } from "./waits/operations.ts";
import {
  createWebhook,
  listWebhooks,
  rotateWebhook,
  updateWebhook,
} from "./webhooks/operations.ts";

export {
  askForm,
  createKey,
  diffState,
  extendGate,
  getGate,
  getRun,
  issueCode,
  linkSession,
  listAudit,
  listEvents,
  listGates,
  listKeys,
  listRuns,
  listSteps,
  listVersions,
  overview,
  readState,
  recoverRun,
  redeemGate,
  resolveGate,
  reviewStep,
  revokeKey,
  runVerdict,
  sendSignal,
};

/** Everything Tidebase can do, in the order the docs list it. */
export const operations: readonly AnyOperation[] = [
  createRun,
  beginRun,
  heartbeat,
  releaseRun,
  suspendRun,
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
  openGate,
  getGate,
  listGates,
  resolveGate,
  redeemGate,
  askForm,
  issueCode,
  extendGate,
  linkSession,
  setTimer,
  sendSignal,
  takeSignal,
  createWebhook,
  listWebhooks,
  updateWebhook,
  rotateWebhook,
  listDeliveries,
  redeliver,
  createKey,
  listKeys,
  revokeKey,
  listAudit,
];
