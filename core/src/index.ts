export { LOCAL } from "./access/authenticate.ts";
export { machineUser } from "./access/machine-user.ts";
export { SCOPES, type Scope } from "./access/schema.ts";
export { type Backend, localBackend, remote } from "./backend.ts";
export { listChildren } from "./children/operations.ts";
export { type Core, type CoreOptions, type CoreStatus, openCore } from "./core.ts";
export { listDeliveries, redeliver } from "./deliveries/operations.ts";
export { DELIVERY_STATUSES } from "./deliveries/schema.ts";
export { type Examination, isPooled, openExamination } from "./doctor/examine.ts";
export {
  type Cluster,
  type ClusterStatus,
  clusterStatus,
  ensureCluster,
  resetCluster,
  stopCluster,
} from "./embedded/cluster.ts";
export { findHome } from "./embedded/home.ts";
export { ERRORS, type ErrorCode, type Problem, TidebaseError, toProblem } from "./errors.ts";
export { FINAL_EVENTS, type RunEvent } from "./events/schema.ts";
export { type AnswerSchema, asksForAnswer, type Field, readField } from "./gates/answer.ts";
export {
  ASSURANCES,
  type Assurance,
  GATE_STATUSES,
  type Gate,
  type GateSummary,
} from "./gates/schema.ts";
export { JsonText, toJson } from "./json-text.ts";
export { DEFAULT_LIMITS, type Limits } from "./limits.ts";
export { migrate, pendingMigrations } from "./migrate.ts";
export { type Actor, type AnyOperation, parseInput } from "./operation.ts";
export {
  askForm,
  cancelRun,
  createKey,
  deleteSchedule,
  diffState,
  enqueueRuns,
  eraseRun,
  extendGate,
  forkRun,
  getGate,
  getQueue,
  getRun,
  getSchedule,
  issueCode,
  linkSession,
  listAudit,
  listEvents,
  listFires,
  listGates,
  listKeys,
  listQueues,
  listRuns,
  listSchedules,
  listSteps,
  listUsage,
  listVersions,
  operations,
  overview,
  putSchedule,
  readState,
  recoverRun,
  redeemGate,
  redriveQueue,
  resolveGate,
  reviewStep,
  revokeKey,
  runVerdict,
  sendSignal,
  setDeadline,
  totalUsage,
  triggerSchedule,
  updateQueue,
  updateSchedule,
} from "./operations.ts";
export { FAILURE_CLASSES, STATUSES } from "./runs/schema.ts";
export { nextFires } from "./schedules/cron.ts";
export { cronProblem } from "./schedules/cron-problem.ts";
export { CATCH_UPS, contradicts, OVERLAPS } from "./schedules/schema.ts";
export { SESSION_MS } from "./sessions/sessions.ts";
export { StoreError, type StoreErrorCode } from "./store/error.ts";
export { type StoreFacts, storeFacts } from "./store/facts.ts";
export { readStoreSettings, type StoreSettings } from "./store/settings.ts";
export {
  type DatabaseStore,
  describeStore,
  type EmbeddedStore,
  type FoundStore,
  findStore,
  type OpenStore,
  openStore,
  type RemoteStore,
} from "./store/store.ts";
export { checkExpanded, type Environment } from "./store/variables.ts";
export { openThrowaway, type Throwaway, type ThrowawayPlace } from "./throwaway/throwaway.ts";
export type { TransferOptions } from "./transfer/connection.ts";
export { TransferError } from "./transfer/error.ts";
export { exportStore } from "./transfer/export.ts";
export { importStore } from "./transfer/import.ts";
export type { Transferred } from "./transfer/rows.ts";
export { USAGE_GROUPS, type UsageSums } from "./usage/schema.ts";
export { escapeHidden, visible, visibleLine } from "./visible.ts";
export {
  createWebhook,
  listWebhooks,
  rotateWebhook,
  updateWebhook,
} from "./webhooks/operations.ts";
