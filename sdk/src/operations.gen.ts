// Generated from the registry by `npm run generate`. Do not edit.

export interface Operations {
  /** Create a run, or find the one that this id or idempotency key already made. */
  "runs.create": {
    input: { runId?: string; workflow: string; input?: unknown; inputMeta?: unknown; tags?: ReadonlyArray<string>; metadata?: Record<string, unknown>; deadlineMs?: number; idempotencyKey?: string; webhooks?: ReadonlyArray<string> };
    output: { runId: string; created: boolean; status: "pending" | "queued" | "running" | "waiting" | "interrupted" | "failed" | "completed" | "cancelled" };
    error: "idempotency_conflict" | "payload_too_large" | "webhook_not_found";
  };
  /** Queue up to 1,000 runs in one commit, each with its own outcome. */
  "runs.enqueue": {
    input: { items: ReadonlyArray<{ runId?: string; workflow: string; input?: unknown; inputMeta?: unknown; tags?: ReadonlyArray<string>; metadata?: Record<string, unknown>; deadlineMs?: number; idempotencyKey?: string; webhooks?: ReadonlyArray<string>; priority?: number; maxAttempts?: number; backoff?: { minMs?: number; factor?: number; maxMs?: number }; concurrencyKey?: string; queue?: string; dedupeKey?: string; delayMs?: number; runAt?: string; ttlMs?: number }> };
    output: { results: ReadonlyArray<{ runId?: string; status?: "pending" | "queued" | "running" | "waiting" | "interrupted" | "failed" | "completed" | "cancelled"; outcome: "created" | "existing" | "deduplicated" | "idempotency_conflict" | "input_refused"; differs?: ReadonlyArray<string> }> };
    error: "payload_too_large" | "webhook_not_found";
  };
  /** Take the run's lease and get its journal; a completed run answers with its result. */
  "runs.begin": {
    input: { runId: string; grantId: string; leaseMs?: number; workflow?: string; version?: string; holder?: { host: string; bootId?: string; pidNamespace?: string; pid: number; startTime?: string }; resumeHint?: { command: ReadonlyArray<string>; cwd?: string }; goneEpoch?: number };
    output: { outcome: "begun" | "completed"; epoch: number; leaseMs: number; attempts: number; workflow: string; previousVersion: string | null; input: unknown | null; inputMeta: unknown | null; result: unknown | null; resultMeta: unknown | null; journal: ReadonlyArray<{ name: string; key: string; inputHash?: string; output: unknown; outputMeta?: unknown }>; afterName: string | null; afterKey: string | null; unfinished: ReadonlyArray<{ name: string; key: string; status: "begun" | "failed_retryable" | "manual_review" | "failed"; attempt: number; failures: number; retryInMs: number | null }> };
    error: "run_not_found" | "run_leased" | "run_in_queue" | "run_cancelled" | "run_erased" | "workflow_mismatch";
  };
  /** Extend leases and learn which of them are lost. */
  "runs.heartbeat": {
    input: { items: ReadonlyArray<{ runId: string; epoch: number; grantId: string }> };
    output: { results: ReadonlyArray<{ outcome: "held" | "run_not_found" | "run_cancelled" | "lease_lost" | "input_refused" }> };
    error: never;
  };
  /** How leases stand; answers as soon as one of them is lost, or when the time is over. */
  "runs.watch": {
    input: { items: ReadonlyArray<{ runId: string; epoch: number; grantId: string }>; waitMs?: number };
    output: { results: ReadonlyArray<{ outcome: "held" | "run_not_found" | "run_cancelled" | "lease_lost" | "input_refused" }> };
    error: never;
  };
  /** Hand the run back unfinished, without using an attempt. */
  "runs.release": {
    input: { runId: string; epoch: number; grantId: string; reason?: "shutdown" | "handed_back" };
    output: { outcome: "released" };
    error: "run_not_found" | "run_cancelled" | "lease_lost" | "input_refused";
  };
  /** Give the lease back and wait; `resumeNow` keeps it because something has happened already. */
  "runs.suspend": {
    input: { runId: string; epoch: number; grantId: string; waits: { gates?: ReadonlyArray<string>; timers?: ReadonlyArray<{ name: string; key?: string }>; retries?: ReadonlyArray<{ name: string; key?: string }>; signals?: ReadonlyArray<string>; children?: ReadonlyArray<{ name: string; key?: string }>; joins?: ReadonlyArray<{ name: string; mode: "all" | "any" }> } };
    output: { outcome: "waiting" | "resumeNow"; wakeAt: string | null };
    error: "run_not_found" | "run_cancelled" | "lease_lost" | "input_refused" | "wait_not_found";
  };
  /** End runs with their results, any number of them in one commit. */
  "runs.complete": {
    input: { items: ReadonlyArray<{ runId: string; epoch: number; grantId: string; result?: unknown; resultMeta?: unknown; orphanedSteps?: ReadonlyArray<{ name: string; key: string }> }> };
    output: { results: ReadonlyArray<{ outcome: "completed" | "result_too_large" | "run_not_found" | "run_cancelled" | "lease_lost" | "input_refused"; limitBytes?: number }> };
    error: never;
  };
  /** End this attempt with its error; the run rests in `failed`, or goes back to its queue while attempts are left. */
  "runs.fail": {
    input: { runId: string; epoch: number; grantId: string; error: { name?: string; message: string; stack?: string }; failureClass?: "step_failed" | "manual_review" | "workflow_error"; retryable?: boolean; orphanedSteps?: ReadonlyArray<{ name: string; key: string }> };
    output: { outcome: "failed"; status: "failed" | "queued"; failureClass: "step_failed" | "manual_review" | "max_attempts" | "worker_lost" | "workflow_error" | null; attempts: number; retryInMs: number | null };
    error: "run_not_found" | "run_cancelled" | "lease_lost" | "input_refused" | "payload_too_large";
  };
  /** One run with its step counts and the verdict: is it safe to rerun? */
  "runs.get": {
    input: { runId: string; include?: ReadonlyArray<"input" | "result"> };
    output: { run: { runId: string; workflow: string; status: "pending" | "queued" | "running" | "waiting" | "interrupted" | "failed" | "completed" | "cancelled"; failureClass: "step_failed" | "manual_review" | "max_attempts" | "worker_lost" | "workflow_error" | null; attempts: number; tags: ReadonlyArray<string>; lastSeq: number; createdAt: string; updatedAt: string; leaseExpiresAt: string | null; leaseOver: boolean; errorMessage: string | null; queue: string | null; parentRunId: string | null; forkedFrom: { runId: string; atSeq: number } | null; epoch: number; idempotencyKey: string | null; metadata: object | null; version: string | null; holder: { host: string; bootId?: string; pidNamespace?: string; pid: number; startTime?: string } | null; resumeHint: { command: ReadonlyArray<string>; cwd?: string } | null; error: { name?: string; message: string; stack?: string } | null; waits: ReadonlyArray<string> | null; wakeAt: string | null; runAt: string | null; priority: number; maxAttempts: number | null; deadlineAt: string | null; dedupeKey: string | null; concurrencyKey: string | null; cancelReason: string | null; cancelledBy: string | null; erasedAt: string | null }; steps: { completed: number; begun: number; failed: number; manualReview: number }; verdict: { answer: "safe" | "needs_review" | "waiting_on_human" | "in_progress" | "final"; reason: string; next: { action: "none" | "wait" | "invoke" | "recover" | "review_step" | "resolve_gate"; text: string; command?: ReadonlyArray<string>; cwd?: string; step?: { name: string; key: string }; gates?: ReadonlyArray<string>; signals?: ReadonlyArray<string>; children?: ReadonlyArray<string>; queue?: string; until?: string }; seq: number; completedSteps: number; steps: ReadonlyArray<{ name: string; key: string; status: "begun" | "failed_retryable" | "manual_review" | "failed"; attempt: number; sideEffects: ReadonlyArray<string>; idempotencyKey: string | null; reason: string | null; error: unknown | null; wouldRunAgain: boolean; why: string; eventSeqs: ReadonlyArray<number> }>; warnings: ReadonlyArray<string>; eventSeqs: ReadonlyArray<number> }; input?: unknown | null; inputMeta?: unknown | null; result?: unknown | null; resultMeta?: unknown | null };
    error: "run_not_found";
  };
  /** Runs, newest first, filtered; a page at a time. */
  "runs.list": {
    input: { status?: ReadonlyArray<"pending" | "queued" | "running" | "waiting" | "interrupted" | "failed" | "completed" | "cancelled">; workflow?: string; queue?: string; parentRunId?: string; forkedFrom?: string; tag?: string; failureClass?: "step_failed" | "manual_review" | "max_attempts" | "worker_lost" | "workflow_error"; idempotencyKey?: string; search?: string; since?: string; until?: string; limit?: number; cursor?: string };
    output: { runs: ReadonlyArray<{ runId: string; workflow: string; status: "pending" | "queued" | "running" | "waiting" | "interrupted" | "failed" | "completed" | "cancelled"; failureClass: "step_failed" | "manual_review" | "max_attempts" | "worker_lost" | "workflow_error" | null; attempts: number; tags: ReadonlyArray<string>; lastSeq: number; createdAt: string; updatedAt: string; leaseExpiresAt: string | null; leaseOver: boolean; errorMessage: string | null; queue: string | null; parentRunId: string | null; forkedFrom: { runId: string; atSeq: number } | null }>; nextCursor: string | null };
    error: "cursor_invalid";
  };
  /** Is it safe to rerun? The answer with its reasons, step by step, and the next action. */
  "runs.verdict": {
    input: { runId: string };
    output: { answer: "safe" | "needs_review" | "waiting_on_human" | "in_progress" | "final"; reason: string; next: { action: "none" | "wait" | "invoke" | "recover" | "review_step" | "resolve_gate"; text: string; command?: ReadonlyArray<string>; cwd?: string; step?: { name: string; key: string }; gates?: ReadonlyArray<string>; signals?: ReadonlyArray<string>; children?: ReadonlyArray<string>; queue?: string; until?: string }; seq: number; completedSteps: number; steps: ReadonlyArray<{ name: string; key: string; status: "begun" | "failed_retryable" | "manual_review" | "failed"; attempt: number; sideEffects: ReadonlyArray<string>; idempotencyKey: string | null; reason: string | null; error: unknown | null; wouldRunAgain: boolean; why: string; eventSeqs: ReadonlyArray<number> }>; warnings: ReadonlyArray<string>; eventSeqs: ReadonlyArray<number> };
    error: "run_not_found";
  };
  /** Make a failed or interrupted run ready to be begun again, or queue it now; a dry run says what that does. */
  "runs.recover": {
    input: { runId: string; dryRun?: boolean; asOf?: number; reason?: string };
    output: { dryRun: boolean; status: "pending" | "queued" | "running" | "waiting" | "interrupted" | "failed" | "completed" | "cancelled"; seq: number; replayedSteps: number; runAgain: ReadonlyArray<{ name: string; key: string; status: "begun" | "failed_retryable" | "manual_review" | "failed"; attempt: number; sideEffects: ReadonlyArray<string>; idempotencyKey: string | null; reason: string | null; error: unknown | null; wouldRunAgain: boolean; why: string; eventSeqs: ReadonlyArray<number> }>; held: ReadonlyArray<{ name: string; key: string; status: "begun" | "failed_retryable" | "manual_review" | "failed"; attempt: number; sideEffects: ReadonlyArray<string>; idempotencyKey: string | null; reason: string | null; error: unknown | null; wouldRunAgain: boolean; why: string; eventSeqs: ReadonlyArray<number> }>; resumeHint: { command: ReadonlyArray<string>; cwd?: string } | null; next: string };
    error: "run_not_found" | "run_completed" | "run_cancelled" | "run_leased" | "run_waiting" | "run_changed" | "dedupe_conflict";
  };
  /** Make a new run from a moment of another: what was completed by then is kept, the rest runs again; a dry run says which. */
  "runs.fork": {
    input: { runId: string; from?: { name: string; key?: string }; atSeq?: number; edit?: { name: string; key?: string; output: unknown; outputMeta?: unknown }; input?: unknown; inputMeta?: unknown; forkRunId?: string; queue?: string | null; reason?: string; dryRun?: boolean; asOf?: number };
    output: { dryRun: boolean; runId: string | null; created: boolean; status: "pending" | "queued" | "running" | "waiting" | "interrupted" | "failed" | "completed" | "cancelled"; workflow: string; queue: string | null; forkedFrom: { runId: string; atSeq: number }; seq: number; keptSteps: number; kept: ReadonlyArray<{ name: string; key: string; edited: boolean }>; runAgainSteps: number; repeatedEffects: number; runAgain: ReadonlyArray<{ name: string; key: string; status: "begun" | "completed" | "failed_retryable" | "manual_review" | "failed"; sideEffects: ReadonlyArray<string>; idempotencyKey: string | null; repeatsEffects: boolean; why: string }>; gatesAskedAgain: ReadonlyArray<{ name: string; key: string; status: string }>; childrenAnew: ReadonlyArray<{ name: string; key: string; runId: string; status: "pending" | "queued" | "running" | "waiting" | "interrupted" | "failed" | "completed" | "cancelled" }>; timersAnew: ReadonlyArray<{ name: string; key: string }>; signals: number; streams: ReadonlyArray<{ stream: string; version: number }>; warnings: ReadonlyArray<string>; resumeHint: { command: ReadonlyArray<string>; cwd?: string } | null; next: string };
    error: "run_not_found" | "run_erased" | "step_not_found" | "step_not_kept" | "event_not_found" | "run_changed" | "idempotency_conflict" | "payload_too_large";
  };
  /** Cancel a run and the children that are not detached; a dry run says what that reaches. */
  "runs.cancel": {
    input: { runId: string; reason?: string; dryRun?: boolean; asOf?: number };
    output: { dryRun: boolean; status: "pending" | "queued" | "running" | "waiting" | "interrupted" | "failed" | "completed" | "cancelled"; already: boolean; seq: number; descendants: number };
    error: "run_not_found" | "run_completed" | "run_changed";
  };
  /** Give a run another deadline, or none. */
  "runs.deadline": {
    input: { runId: string; deadlineMs: number | null; epoch?: number; grantId?: string };
    output: { deadlineAt: string | null };
    error: "run_not_found" | "run_completed" | "run_cancelled" | "lease_lost" | "scope_missing";
  };
  /** Remove what a final run was about, for ever: payloads, state, messages; its skeleton stays. */
  "runs.erase": {
    input: { runId: string; tree?: boolean; reason?: string };
    output: { already: boolean; erased: number; erasedAt: string };
    error: "run_not_found" | "run_not_final";
  };
  /** Take the grace in which a cancelled run's last worker may clean up, once. */
  "cleanups.begin": {
    input: { runId: string; epoch: number; grantId: string };
    output: { graceMs: number };
    error: "run_not_found" | "run_not_cancelled" | "lease_lost" | "cleanup_over";
  };
  /** Record how the clean-up of a cancelled run ended. */
  "cleanups.end": {
    input: { runId: string; epoch: number; grantId: string; error?: string };
    output: { outcome: "ended" };
    error: "run_not_found" | "lease_lost" | "cleanup_over";
  };
  /** Counts of the runs that are not final, and those that need somebody, by id. */
  "runs.overview": {
    input: {  };
    output: { counts: Record<string, unknown>; finishedLastDay: number; stalled: number; openGates: number; oldestGateAt: string | null; attention: ReadonlyArray<{ runId: string; workflow: string; status: "pending" | "queued" | "running" | "waiting" | "interrupted" | "failed" | "completed" | "cancelled"; failureClass: "step_failed" | "manual_review" | "max_attempts" | "worker_lost" | "workflow_error" | null; updatedAt: string }>; now: string };
    error: never;
  };
  /** Take the leases of runs that wait in the queue; waits for one when there is none. */
  "queues.claim": {
    input: { queue: string; grantId: string; limit?: number; leaseMs?: number; waitMs?: number; workflows?: ReadonlyArray<string>; workerId?: string; version?: string; holder?: { host: string; bootId?: string; pidNamespace?: string; pid: number; startTime?: string } };
    output: { runs: ReadonlyArray<{ runId: string; epoch: number; leaseMs: number; attempts: number; workflow: string; previousVersion: string | null; input: unknown | null; inputMeta: unknown | null; journal: ReadonlyArray<{ name: string; key: string; inputHash?: string; output: unknown; outputMeta?: unknown }>; afterName: string | null; afterKey: string | null; unfinished: ReadonlyArray<{ name: string; key: string; status: "begun" | "failed_retryable" | "manual_review" | "failed"; attempt: number; failures: number; retryInMs: number | null }> }> };
    error: never;
  };
  /** Every queue by name: its limits, depth, oldest ready age, dead letters and workers. */
  "queues.list": {
    input: { after?: string; limit?: number };
    output: { queues: ReadonlyArray<{ queue: string; pausedAt: string | null; pausedBy: string | null; concurrency: number | null; keyConcurrency: number | null; ratePerMinute: number | null; webhook: string | null; ready: number; delayed: number; running: number; waiting: number; failed: number; oldestReadyMs: number | null; workers: number }>; nextAfter: string | null };
    error: never;
  };
  /** One queue with the workers that asked for work within a minute. */
  "queues.get": {
    input: { queue: string };
    output: { queue: { queue: string; pausedAt: string | null; pausedBy: string | null; concurrency: number | null; keyConcurrency: number | null; ratePerMinute: number | null; webhook: string | null; ready: number; delayed: number; running: number; waiting: number; failed: number; oldestReadyMs: number | null; workers: number }; workers: ReadonlyArray<{ workerId: string; holder: { host: string; bootId?: string; pidNamespace?: string; pid: number; startTime?: string } | null; version: string | null; seenAt: string }> };
    error: never;
  };
  /** Pause or resume a queue, set or lift its limits, push its runs to a webhook. */
  "queues.update": {
    input: { queue: string; paused?: boolean; concurrency?: number | null; keyConcurrency?: number | null; ratePerMinute?: number | null; webhook?: string | null };
    output: { queue: { queue: string; pausedAt: string | null; pausedBy: string | null; concurrency: number | null; keyConcurrency: number | null; ratePerMinute: number | null; webhook: string | null; ready: number; delayed: number; running: number; waiting: number; failed: number; oldestReadyMs: number | null; workers: number } };
    error: "webhook_not_found";
  };
  /** Queue a queue's dead letters again, with fresh attempts and their checkpoints. */
  "queues.redrive": {
    input: { queue: string; workflow?: string; failureClass?: "step_failed" | "manual_review" | "max_attempts" | "worker_lost" | "workflow_error"; search?: string; until?: string; dryRun?: boolean; limit?: number };
    output: { dryRun: boolean; until: string; matching: number; redriven: number; skipped: ReadonlyArray<{ runId: string; code: string; activeRunId?: string | null }>; more: boolean };
    error: never;
  };
  /** Make a schedule, or make the one of that name say this; the same again changes nothing. */
  "schedules.put": {
    input: { name: string; workflow: string; input?: unknown; inputMeta?: unknown; tags?: ReadonlyArray<string>; metadata?: Record<string, unknown>; deadlineMs?: number; cron: string; timezone?: string; queue?: string; priority?: number; maxAttempts?: number; catchUp?: "none" | "latest" | "all"; overlap?: "allow" | "skip" | "cancel"; paused?: boolean };
    output: { schedule: { scheduleId: string; name: string; workflow: string; cron: string; timezone: string; queue: string; priority: number; maxAttempts: number; deadlineMs: number | null; tags: ReadonlyArray<string>; metadata: object | null; catchUp: "none" | "latest" | "all"; overlap: "allow" | "skip" | "cancel"; revision: number; createdAt: string; paused: boolean; pausedAt: string | null; pausedBy: string | null; failures: number; lastError: string | null; nextFireAt: string | null; nextFires: ReadonlyArray<string>; lastFire: { fireAt: string; kind: "cron" | "manual"; outcome: "fired" | "skipped" | "caught_up" | "manual"; reason: string | null; until: string; count: number; runId: string | null; at: string } | null }; outcome: "created" | "updated" | "unchanged" };
    error: "cron_invalid" | "schedule_contradiction" | "payload_too_large";
  };
  /** One schedule with its input, its next five fires and its last one. */
  "schedules.get": {
    input: { name: string };
    output: { schedule: { scheduleId: string; name: string; workflow: string; cron: string; timezone: string; queue: string; priority: number; maxAttempts: number; deadlineMs: number | null; tags: ReadonlyArray<string>; metadata: object | null; catchUp: "none" | "latest" | "all"; overlap: "allow" | "skip" | "cancel"; revision: number; createdAt: string; paused: boolean; pausedAt: string | null; pausedBy: string | null; failures: number; lastError: string | null; nextFireAt: string | null; nextFires: ReadonlyArray<string>; lastFire: { fireAt: string; kind: "cron" | "manual"; outcome: "fired" | "skipped" | "caught_up" | "manual"; reason: string | null; until: string; count: number; runId: string | null; at: string } | null; input: unknown | null; inputMeta: unknown | null } };
    error: "schedule_not_found";
  };
  /** Schedules, newest first, with their next fires and how the last one went. */
  "schedules.list": {
    input: { limit?: number; cursor?: string };
    output: { schedules: ReadonlyArray<{ scheduleId: string; name: string; workflow: string; cron: string; timezone: string; queue: string; priority: number; maxAttempts: number; deadlineMs: number | null; tags: ReadonlyArray<string>; metadata: object | null; catchUp: "none" | "latest" | "all"; overlap: "allow" | "skip" | "cancel"; revision: number; createdAt: string; paused: boolean; pausedAt: string | null; pausedBy: string | null; failures: number; lastError: string | null; nextFireAt: string | null; nextFires: ReadonlyArray<string>; lastFire: { fireAt: string; kind: "cron" | "manual"; outcome: "fired" | "skipped" | "caught_up" | "manual"; reason: string | null; until: string; count: number; runId: string | null; at: string } | null }>; nextCursor: string | null };
    error: "cursor_invalid";
  };
  /** What a schedule has fired and skipped, the latest first. */
  "schedules.fires": {
    input: { name: string; limit?: number; cursor?: string };
    output: { fires: ReadonlyArray<{ fireAt: string; kind: "cron" | "manual"; outcome: "fired" | "skipped" | "caught_up" | "manual"; reason: string | null; until: string; count: number; runId: string | null; at: string }>; nextCursor: string | null };
    error: "schedule_not_found" | "cursor_invalid";
  };
  /** Pause a schedule, or resume it from now: what would have fired meanwhile is not made up for. */
  "schedules.update": {
    input: { name: string; paused: boolean };
    output: { schedule: { scheduleId: string; name: string; workflow: string; cron: string; timezone: string; queue: string; priority: number; maxAttempts: number; deadlineMs: number | null; tags: ReadonlyArray<string>; metadata: object | null; catchUp: "none" | "latest" | "all"; overlap: "allow" | "skip" | "cancel"; revision: number; createdAt: string; paused: boolean; pausedAt: string | null; pausedBy: string | null; failures: number; lastError: string | null; nextFireAt: string | null; nextFires: ReadonlyArray<string>; lastFire: { fireAt: string; kind: "cron" | "manual"; outcome: "fired" | "skipped" | "caught_up" | "manual"; reason: string | null; until: string; count: number; runId: string | null; at: string } | null } };
    error: "schedule_not_found" | "cron_invalid";
  };
  /** Make one run of a schedule now, paused or not, whatever else of it is running. */
  "schedules.trigger": {
    input: { name: string; idempotencyKey?: string };
    output: { runId: string; created: boolean; status: "pending" | "queued" | "running" | "waiting" | "interrupted" | "failed" | "completed" | "cancelled" };
    error: "schedule_not_found" | "idempotency_conflict";
  };
  /** Delete a schedule and its history; its runs stay and go on. */
  "schedules.delete": {
    input: { name: string };
    output: { scheduleId: string };
    error: "schedule_not_found";
  };
  /** Record, before their effects, that steps are about to run; settled ones answer with their record. */
  "steps.begin": {
    input: { items: ReadonlyArray<{ runId: string; epoch: number; grantId: string; name: string; key?: string; attempt?: number; inputHash?: string; input?: unknown; contract?: { sideEffects?: ReadonlyArray<string>; idempotencyKey?: string; replay?: "auto" | "manual" | "never"; retry?: { maxAttempts?: number; factor?: number; minMs?: number; maxMs?: number; jitter?: boolean }; timeoutMs?: number; checkpointInvariant?: string; verifiedBy?: string } }> };
    output: { results: ReadonlyArray<{ outcome: "execute" | "replayed" | "input_mismatch" | "manual_review_required" | "step_failed" | "run_too_long" | "run_not_found" | "run_cancelled" | "lease_lost" | "input_refused"; output?: unknown; outputMeta?: unknown; inputHash?: string; input?: unknown }> };
    error: never;
  };
  /** Record finished steps of any number of runs in one commit. */
  "steps.complete": {
    input: { items: ReadonlyArray<{ runId: string; epoch: number; grantId: string; name: string; key?: string; attempt?: number; inputHash?: string; input?: unknown; contract?: { sideEffects?: ReadonlyArray<string>; idempotencyKey?: string; replay?: "auto" | "manual" | "never"; retry?: { maxAttempts?: number; factor?: number; minMs?: number; maxMs?: number; jitter?: boolean }; timeoutMs?: number; checkpointInvariant?: string; verifiedBy?: string }; output: unknown; outputMeta?: unknown }> };
    output: { results: ReadonlyArray<{ outcome: "completed" | "manual_review_required" | "step_failed" | "run_too_long" | "output_too_large" | "run_not_found" | "run_cancelled" | "lease_lost" | "input_refused"; limitBytes?: number }> };
    error: never;
  };
  /** Record failed attempts of steps; a final failure is classified by the step's contract. */
  "steps.fail": {
    input: { items: ReadonlyArray<{ runId: string; epoch: number; grantId: string; name: string; key?: string; attempt?: number; inputHash?: string; input?: unknown; contract?: { sideEffects?: ReadonlyArray<string>; idempotencyKey?: string; replay?: "auto" | "manual" | "never"; retry?: { maxAttempts?: number; factor?: number; minMs?: number; maxMs?: number; jitter?: boolean }; timeoutMs?: number; checkpointInvariant?: string; verifiedBy?: string }; error: unknown; message: string; reason?: "error" | "timeout" | "unserializable_output" | "output_too_large"; retryInMs?: number }> };
    output: { results: ReadonlyArray<{ outcome: "completed" | "failed_retryable" | "manual_review" | "failed" | "run_too_long" | "run_not_found" | "run_cancelled" | "lease_lost" | "input_refused" }> };
    error: never;
  };
  /** Settle a step that may or may not have had its effect: retry it, or record how it ended. */
  "steps.review": {
    input: { runId: string; name: string; key?: string; decision: "retry" | "completed" | "failed"; output?: unknown; reason: string; dryRun?: boolean; asOf?: number };
    output: { dryRun: boolean; status: string; becomes: string; seq: number };
    error: "run_not_found" | "step_not_found" | "step_not_in_review" | "run_completed" | "run_cancelled" | "run_changed" | "payload_too_large";
  };
  /** The completed steps of a run after a given one, with their outputs. */
  "steps.journal": {
    input: { runId: string; afterName?: string; afterKey?: string };
    output: { journal: ReadonlyArray<{ name: string; key: string; inputHash?: string; output: unknown; outputMeta?: unknown }>; afterName: string | null; afterKey: string | null };
    error: "run_not_found" | "run_erased";
  };
  /** The steps of a run with their status and contract, without outputs; by name and key. */
  "steps.list": {
    input: { runId: string; afterName?: string; afterKey?: string; limit?: number };
    output: { steps: ReadonlyArray<{ name: string; key: string; status: "begun" | "completed" | "failed_retryable" | "manual_review" | "failed"; attempt: number; epoch: number; contract: { sideEffects?: ReadonlyArray<string>; idempotencyKey?: string; replay?: "auto" | "manual" | "never"; retry?: { maxAttempts?: number; factor?: number; minMs?: number; maxMs?: number; jitter?: boolean }; timeoutMs?: number; checkpointInvariant?: string; verifiedBy?: string } | null; inputHash: string | null; reason: string | null; error: unknown | null; outputBytes: number | null; begunAt: string | null; endedAt: string | null }>; afterName: string | null; afterKey: string | null };
    error: "run_not_found";
  };
  /** One step with its recorded output. */
  "steps.get": {
    input: { runId: string; name: string; key?: string };
    output: { step: { name: string; key: string; status: "begun" | "completed" | "failed_retryable" | "manual_review" | "failed"; attempt: number; epoch: number; contract: { sideEffects?: ReadonlyArray<string>; idempotencyKey?: string; replay?: "auto" | "manual" | "never"; retry?: { maxAttempts?: number; factor?: number; minMs?: number; maxMs?: number; jitter?: boolean }; timeoutMs?: number; checkpointInvariant?: string; verifiedBy?: string } | null; inputHash: string | null; reason: string | null; error: unknown | null; outputBytes: number | null; begunAt: string | null; endedAt: string | null; input: unknown; output: unknown; outputMeta: unknown } };
    error: "step_not_found";
  };
  /** Append a version: replace the document (`set`) or merge into it (`patch`, RFC 7386). */
  "state.write": {
    input: { runId: string; epoch: number; grantId: string; stream?: string; kind: "set" | "patch"; value: unknown; expectVersion?: number; writeKey?: string; label?: string; reason?: string; importance?: "transient" | "normal" | "checkpoint" | "milestone"; target?: { type: string; id: string }; createdBy?: string };
    output: { version: number; recorded: boolean };
    error: "run_not_found" | "run_cancelled" | "lease_lost" | "input_refused" | "version_conflict" | "payload_too_large";
  };
  /** Label a version, by default the current one, without changing it. */
  "state.label": {
    input: { runId: string; epoch: number; grantId: string; stream?: string; version?: number; label: string; reason?: string; importance?: "transient" | "normal" | "checkpoint" | "milestone"; target?: { type: string; id: string }; writeKey?: string };
    output: { version: number; recorded: boolean };
    error: "run_not_found" | "run_cancelled" | "lease_lost" | "input_refused" | "version_not_found";
  };
  /** The document of a stream at a version, by default the latest, or a part of it. */
  "state.read": {
    input: { runId: string; stream?: string; version?: number; path?: string };
    output: { stream: string; version: number; latest: number; found: boolean; value: unknown; createdAt: string | null };
    error: "run_not_found" | "version_not_found";
  };
  /** The versions of a stream without their documents, newest first. */
  "state.versions": {
    input: { runId: string; stream?: string; labeled?: string; before?: number; limit?: number };
    output: { versions: ReadonlyArray<{ version: number; kind: "set" | "patch"; bytes: number; labels: ReadonlyArray<{ label: string; reason?: string; importance: "transient" | "normal" | "checkpoint" | "milestone"; target?: { type: string; id: string } }>; reason: string | null; importance: "transient" | "normal" | "checkpoint" | "milestone"; createdBy: string; createdAt: string }>; before: number | null };
    error: "run_not_found";
  };
  /** The JSON patch (RFC 6902) that turns one version of a stream into another. */
  "state.diff": {
    input: { runId: string; stream?: string; from: number; to: number };
    output: { from: number; to: number; patch: ReadonlyArray<Record<string, unknown>> };
    error: "run_not_found" | "version_not_found";
  };
  /** The streams of a run with their latest version. */
  "state.streams": {
    input: { runId: string };
    output: { streams: ReadonlyArray<{ stream: string; version: number }> };
    error: "run_not_found";
  };
  /** Record what the run used and what it cost. A write key that is known answers with the first record, whatever else is said now. */
  "usage.record": {
    input: { runId: string; epoch: number; grantId: string; kind: string; provider?: string; model?: string; label?: string; quantity?: string | number; unit?: string; inputTokens?: number; outputTokens?: number; totalTokens?: number; costUsd?: string | number; metadata?: Record<string, unknown>; writeKey?: string };
    output: { record: { runId: string; seq: number; at: string; kind: string; provider: string | null; model: string | null; label: string | null; quantity: string | null; unit: string | null; inputTokens: number | null; outputTokens: number | null; totalTokens: number | null; costUsd: string | null; metadata: object | null }; recorded: boolean };
    error: "run_not_found" | "run_cancelled" | "lease_lost" | "input_refused" | "payload_too_large";
  };
  /** The usage records of a run, oldest first. */
  "usage.list": {
    input: { runId: string; afterSeq?: number; limit?: number };
    output: { records: ReadonlyArray<{ runId: string; seq: number; at: string; kind: string; provider: string | null; model: string | null; label: string | null; quantity: string | null; unit: string | null; inputTokens: number | null; outputTokens: number | null; totalTokens: number | null; costUsd: string | null; metadata: object | null }>; nextAfterSeq: number | null };
    error: "run_not_found";
  };
  /** Sums of usage: of a run, of its tree, or of all runs, whole and by group. */
  "usage.totals": {
    input: { by?: "day" | "workflow" | "model" | "provider" | "kind" | "label"; runId?: string; tree?: string; workflow?: string; since?: string; until?: string; limit?: number };
    output: { since: string | null; until: string | null; total: { records: number; withoutCost: number; costUsd: string; inputTokens: number; outputTokens: number; totalTokens: number; quantities: ReadonlyArray<{ unit: string | null; quantity: string }>; moreUnits: boolean }; groups: ReadonlyArray<{ group: string | null; records: number; withoutCost: number; costUsd: string; inputTokens: number; outputTokens: number; totalTokens: number; quantities: ReadonlyArray<{ unit: string | null; quantity: string }>; moreUnits: boolean }>; more: boolean };
    error: "run_not_found" | "input_invalid";
  };
  /** What happened to a run, in order. */
  "events.list": {
    input: { runId: string; afterSeq?: number; limit?: number; types?: ReadonlyArray<string> };
    output: { events: ReadonlyArray<{ seq: number; type: string; at: string; data: object | null }>; lastSeq: number; nextAfterSeq: number | null };
    error: "run_not_found";
  };
  /** Ask a human; the same question again finds the gate and its decision. */
  "gates.open": {
    input: { runId: string; epoch: number; grantId: string; name: string; key?: string; prompt: string; data?: unknown; answerSchema?: { type: "object"; properties: Record<string, unknown>; required?: ReadonlyArray<string> }; capability?: { name: string; scopes?: ReadonlyArray<string>; reason?: string }; risk?: "low" | "normal" | "high" | "critical"; assurance?: "client_form" | "code" | "signed_in"; approvers?: ReadonlyArray<string>; approvals?: number; expiresInMs?: number };
    output: { gate: { gateId: string; runId: string; workflow: string; name: string; key: string; revision: number; digest: string; status: "open" | "approved" | "rejected" | "expired" | "closed"; prompt: string; data: unknown | null; answerSchema: { type: "object"; properties: Record<string, unknown>; required?: ReadonlyArray<string> } | null; capability: { name: string; scopes: ReadonlyArray<string>; reason: string } | null; risk: "low" | "normal" | "high" | "critical"; required: "client_form" | "code" | "signed_in"; approvers: ReadonlyArray<string> | null; approvals: number; votes: number; openedAt: string; openedBy: string; expiresAt: string | null; decidedAt: string | null; decidedBy: string | null; via: string | null; assurance: "client_form" | "code" | "signed_in" | null; answer: unknown | null; note: string | null } };
    error: "run_not_found" | "run_cancelled" | "lease_lost" | "input_refused" | "payload_too_large" | "gate_mismatch";
  };
  /** One gate in full: what is asked, and how it was decided. */
  "gates.get": {
    input: { gateId: string };
    output: { gate: { gateId: string; runId: string; workflow: string; name: string; key: string; revision: number; digest: string; status: "open" | "approved" | "rejected" | "expired" | "closed"; prompt: string; data: unknown | null; answerSchema: { type: "object"; properties: Record<string, unknown>; required?: ReadonlyArray<string> } | null; capability: { name: string; scopes: ReadonlyArray<string>; reason: string } | null; risk: "low" | "normal" | "high" | "critical"; required: "client_form" | "code" | "signed_in"; approvers: ReadonlyArray<string> | null; approvals: number; votes: number; openedAt: string; openedBy: string; expiresAt: string | null; decidedAt: string | null; decidedBy: string | null; via: string | null; assurance: "client_form" | "code" | "signed_in" | null; answer: unknown | null; note: string | null } };
    error: "gate_not_found";
  };
  /** The inbox: open gates across runs, oldest first; or decided ones. */
  "gates.list": {
    input: { status?: "open" | "approved" | "rejected" | "expired" | "closed" | "any"; runId?: string; name?: string; key?: string; workflow?: string; limit?: number; cursor?: string };
    output: { gates: ReadonlyArray<{ gateId: string; runId: string; workflow: string; name: string; key: string; status: "open" | "approved" | "rejected" | "expired" | "closed"; prompt: string; risk: "low" | "normal" | "high" | "critical"; required: "client_form" | "code" | "signed_in"; approvals: number; votes: number; openedAt: string; expiresAt: string | null; decidedAt: string | null; decidedBy: string | null }>; nextCursor: string | null };
    error: "cursor_invalid";
  };
  /** Decide, as a human who is known: with a key that may approve, on the page, at a terminal. */
  "gates.resolve": {
    input: { gateId: string; decision: "approved" | "rejected"; digest: string; answer?: unknown; note?: string };
    output: { gate: { gateId: string; runId: string; workflow: string; name: string; key: string; revision: number; digest: string; status: "open" | "approved" | "rejected" | "expired" | "closed"; prompt: string; data: unknown | null; answerSchema: { type: "object"; properties: Record<string, unknown>; required?: ReadonlyArray<string> } | null; capability: { name: string; scopes: ReadonlyArray<string>; reason: string } | null; risk: "low" | "normal" | "high" | "critical"; required: "client_form" | "code" | "signed_in"; approvers: ReadonlyArray<string> | null; approvals: number; votes: number; openedAt: string; openedBy: string; expiresAt: string | null; decidedAt: string | null; decidedBy: string | null; via: string | null; assurance: "client_form" | "code" | "signed_in" | null; answer: unknown | null; note: string | null } };
    error: "gate_not_found" | "gate_already_resolved" | "gate_expired" | "gate_changed" | "gate_assurance_too_low" | "gate_own_run" | "gate_not_approver" | "gate_answer_invalid" | "payload_too_large" | "gate_needs_human";
  };
  /** Bring a human's decision with its proof: a one-time code, a link's token, or a filled-in form. */
  "gates.redeem": {
    input: { gateId: string; decision: "approved" | "rejected"; digest: string; answer?: unknown; note?: string; proof: { kind: "form" | "code" | "token"; secret: string } };
    output: { gate: { gateId: string; runId: string; workflow: string; name: string; key: string; revision: number; digest: string; status: "open" | "approved" | "rejected" | "expired" | "closed"; prompt: string; data: unknown | null; answerSchema: { type: "object"; properties: Record<string, unknown>; required?: ReadonlyArray<string> } | null; capability: { name: string; scopes: ReadonlyArray<string>; reason: string } | null; risk: "low" | "normal" | "high" | "critical"; required: "client_form" | "code" | "signed_in"; approvers: ReadonlyArray<string> | null; approvals: number; votes: number; openedAt: string; openedBy: string; expiresAt: string | null; decidedAt: string | null; decidedBy: string | null; via: string | null; assurance: "client_form" | "code" | "signed_in" | null; answer: unknown | null; note: string | null } };
    error: "gate_not_found" | "gate_already_resolved" | "gate_expired" | "gate_changed" | "gate_assurance_too_low" | "gate_own_run" | "gate_not_approver" | "gate_answer_invalid" | "payload_too_large" | "gate_code_invalid";
  };
  /** Begin to ask a human by a form: the phrase they have to type, good once, for five minutes. */
  "gates.form": {
    input: { gateId: string };
    output: { phrase: string; digest: string; expiresAt: string };
    error: "gate_not_found" | "gate_assurance_too_low" | "gate_already_resolved" | "gate_changed" | "gate_expired";
  };
  /** A one-time code for one decision, for a human who is known; the older one is void. */
  "gates.code": {
    input: { gateId: string; decision: "approved" | "rejected"; digest?: string; answer?: unknown; note?: string };
    output: { code: string; decision: "approved" | "rejected"; expiresAt: string };
    error: "gate_not_found" | "gate_needs_human" | "gate_own_run" | "gate_assurance_too_low" | "gate_answer_invalid" | "payload_too_large" | "gate_already_resolved" | "gate_changed" | "gate_expired";
  };
  /** Give an open gate another end: so long from now; 0 ends it now. */
  "gates.extend": {
    input: { gateId: string; expiresInMs: number };
    output: { gate: { gateId: string; runId: string; workflow: string; name: string; key: string; revision: number; digest: string; status: "open" | "approved" | "rejected" | "expired" | "closed"; prompt: string; data: unknown | null; answerSchema: { type: "object"; properties: Record<string, unknown>; required?: ReadonlyArray<string> } | null; capability: { name: string; scopes: ReadonlyArray<string>; reason: string } | null; risk: "low" | "normal" | "high" | "critical"; required: "client_form" | "code" | "signed_in"; approvers: ReadonlyArray<string> | null; approvals: number; votes: number; openedAt: string; openedBy: string; expiresAt: string | null; decidedAt: string | null; decidedBy: string | null; via: string | null; assurance: "client_form" | "code" | "signed_in" | null; answer: unknown | null; note: string | null } };
    error: "gate_not_found" | "gate_already_resolved" | "gate_needs_human";
  };
  /** A one-time link's token that starts a session of the gate page, for a human who is known. */
  "sessions.link": {
    input: {  };
    output: { token: string; expiresAt: string };
    error: "gate_needs_human";
  };
  /** Set when a sleep or a wait is over: once, whatever is asked later. */
  "timers.set": {
    input: { runId: string; epoch: number; grantId: string; name: string; key?: string; ms?: number; until?: string };
    output: { dueAt: string; leftMs: number };
    error: "run_not_found" | "run_cancelled" | "lease_lost" | "input_refused" | "input_invalid";
  };
  /** Tell a run that something happened; kept also when nobody waits for it yet. */
  "signals.send": {
    input: { runId: string; name: string; payload?: unknown; key?: string };
    output: { runId: string; seq: number; recorded: boolean };
    error: "run_not_found" | "run_completed" | "run_cancelled" | "payload_too_large";
  };
  /** Take the oldest signal of a name as this step's output; or its timeout; or learn that it is not there. */
  "signals.take": {
    input: { runId: string; epoch: number; grantId: string; name: string; key?: string; signal: string };
    output: { outcome: "taken" | "waiting"; output?: unknown };
    error: "run_not_found" | "run_cancelled" | "lease_lost" | "input_refused" | "run_too_long" | "step_settled";
  };
  /** Create the children of a run, or find those that their names and keys already made. */
  "children.create": {
    input: { runId: string; epoch: number; grantId: string; children: ReadonlyArray<{ name: string; key?: string; workflow: string; input?: unknown; inputMeta?: unknown; tags?: ReadonlyArray<string>; metadata?: Record<string, unknown>; deadlineMs?: number; queue?: string; priority?: number; maxAttempts?: number; concurrencyKey?: string; keyLimit?: number; delayMs?: number; detached?: boolean; fanoutSize?: number }> };
    output: { results: ReadonlyArray<{ runId: string; outcome: "created" | "existing" | "child_mismatch"; status: "pending" | "queued" | "running" | "waiting" | "interrupted" | "failed" | "completed" | "cancelled" }> };
    error: "run_not_found" | "run_cancelled" | "lease_lost" | "input_refused" | "payload_too_large" | "run_too_wide" | "run_too_deep";
  };
  /** The children of a run with their status, and their results if asked; by name and key. */
  "children.list": {
    input: { runId: string; name?: string; afterName?: string; afterKey?: string; limit?: number; include?: ReadonlyArray<"result"> };
    output: { children: ReadonlyArray<{ name: string; key: string; ordinal: number; runId: string; workflow: string; status: "pending" | "queued" | "running" | "waiting" | "interrupted" | "failed" | "completed" | "cancelled"; ended: boolean; failureClass: "step_failed" | "manual_review" | "max_attempts" | "worker_lost" | "workflow_error" | null; errorMessage: string | null; result?: unknown | null; resultMeta?: unknown | null; error?: unknown | null }>; afterName: string | null; afterKey: string | null };
    error: "run_not_found";
  };
  /** Make a webhook; the answer is the only time its secret is shown. */
  "webhooks.create": {
    input: { name: string; url: string; events?: ReadonlyArray<string>; workflows?: ReadonlyArray<string>; everyRun?: boolean; invokes?: boolean; decides?: boolean };
    output: { webhookId: string; name: string; secret: string };
    error: "webhook_url_refused" | "webhook_exists";
  };
  /** The webhooks with their state and backlog, without their secrets. */
  "webhooks.list": {
    input: { afterId?: string; limit?: number };
    output: { webhooks: ReadonlyArray<{ webhookId: string; name: string; url: string; events: ReadonlyArray<string>; workflows: ReadonlyArray<string> | null; everyRun: boolean; invokes: boolean; decides: boolean; createdAt: string; disabledAt: string | null; disabledReason: string | null; previousUntil: string | null; failures: number; closedUntil: string | null; pending: number; dead: number }> };
    error: never;
  };
  /** Change a webhook, disable or enable it; what is left out stays as it is. */
  "webhooks.update": {
    input: { webhookId: string; url?: string; events?: ReadonlyArray<string>; workflows?: ReadonlyArray<string> | null; everyRun?: boolean; invokes?: boolean; decides?: boolean; disabled?: boolean };
    output: { webhookId: string; name: string; url: string; events: ReadonlyArray<string>; workflows: ReadonlyArray<string> | null; everyRun: boolean; invokes: boolean; decides: boolean; createdAt: string; disabledAt: string | null; disabledReason: string | null; previousUntil: string | null; failures: number; closedUntil: string | null; pending: number; dead: number };
    error: "webhook_not_found" | "webhook_url_refused";
  };
  /** Give a webhook a new secret; for a while the old one signs as well. */
  "webhooks.rotate": {
    input: { webhookId: string; keepOldMs?: number };
    output: { webhookId: string; secret: string; previousUntil: string };
    error: "webhook_not_found";
  };
  /** Messages to webhooks, newest first, filtered; a page at a time. */
  "deliveries.list": {
    input: { status?: "pending" | "delivered" | "dead"; webhookId?: string; runId?: string; limit?: number; cursor?: string };
    output: { deliveries: ReadonlyArray<{ deliveryId: string; webhookId: string; webhook: string; runId: string; seq: number; type: string; status: "pending" | "delivered" | "dead"; attempts: number; dueAt: string; createdAt: string; expiresAt: string; endedAt: string | null; lastStatus: number | null; lastError: string | null }>; nextCursor: string | null };
    error: "cursor_invalid";
  };
  /** Send a dead delivery again, or a webhook's dead ones, up to 1,000 at a time. */
  "deliveries.redeliver": {
    input: { deliveryId?: string; webhookId?: string };
    output: { redelivered: number; more: boolean };
    error: "delivery_not_found" | "delivery_not_dead" | "webhook_not_found";
  };
  /** Make an API key; the answer is the only time it is shown. */
  "keys.create": {
    input: { name: string; scopes: ReadonlyArray<"read" | "work" | "enqueue" | "operate" | "approve" | "admin">; expiresInMs?: number };
    output: { keyId: string; key: string; scopes: ReadonlyArray<"read" | "work" | "enqueue" | "operate" | "approve" | "admin"> };
    error: never;
  };
  /** The API keys, without the keys themselves. */
  "keys.list": {
    input: { afterId?: string; limit?: number };
    output: { keys: ReadonlyArray<{ keyId: string; name: string; scopes: ReadonlyArray<"read" | "work" | "enqueue" | "operate" | "approve" | "admin">; createdAt: string; expiresAt: string | null; lastUsedAt: string | null; revokedAt: string | null }> };
    error: never;
  };
  /** End an API key now. */
  "keys.revoke": {
    input: { keyId: string };
    output: { keyId: string; revokedAt: string };
    error: "key_not_found";
  };
  /** Refused and privileged acts, newest first. */
  "audit.list": {
    input: { before?: number; limit?: number };
    output: { entries: ReadonlyArray<{ auditId: number; at: string; actor: string; via: string; operation: string; target: string | null; outcome: string }>; before: number | null };
    error: never;
  };
}

export const routes = {
  "runs.create": "POST /v1/runs",
  "runs.enqueue": "POST /v1/runs/enqueue",
  "runs.begin": "POST /v1/runs/:runId/begin",
  "runs.heartbeat": "POST /v1/runs/heartbeat",
  "runs.watch": "POST /v1/runs/watch",
  "runs.release": "POST /v1/runs/:runId/release",
  "runs.suspend": "POST /v1/runs/:runId/suspend",
  "runs.complete": "POST /v1/runs/complete",
  "runs.fail": "POST /v1/runs/:runId/fail",
  "runs.get": "GET /v1/runs/:runId",
  "runs.list": "GET /v1/runs",
  "runs.verdict": "GET /v1/runs/:runId/verdict",
  "runs.recover": "POST /v1/runs/:runId/recover",
  "runs.fork": "POST /v1/runs/:runId/fork",
  "runs.cancel": "POST /v1/runs/:runId/cancel",
  "runs.deadline": "POST /v1/runs/:runId/deadline",
  "runs.erase": "POST /v1/runs/:runId/erase",
  "cleanups.begin": "POST /v1/runs/:runId/cleanup",
  "cleanups.end": "POST /v1/runs/:runId/cleanup/end",
  "runs.overview": "GET /v1/overview",
  "queues.claim": "POST /v1/queues/:queue/claim",
  "queues.list": "GET /v1/queues",
  "queues.get": "GET /v1/queues/:queue",
  "queues.update": "POST /v1/queues/:queue",
  "queues.redrive": "POST /v1/queues/:queue/redrive",
  "schedules.put": "POST /v1/schedules",
  "schedules.get": "GET /v1/schedules/:name",
  "schedules.list": "GET /v1/schedules",
  "schedules.fires": "GET /v1/schedules/:name/fires",
  "schedules.update": "POST /v1/schedules/:name",
  "schedules.trigger": "POST /v1/schedules/:name/trigger",
  "schedules.delete": "POST /v1/schedules/:name/delete",
  "steps.begin": "POST /v1/steps/begin",
  "steps.complete": "POST /v1/steps/complete",
  "steps.fail": "POST /v1/steps/fail",
  "steps.review": "POST /v1/runs/:runId/steps/review",
  "steps.journal": "GET /v1/runs/:runId/journal",
  "steps.list": "GET /v1/runs/:runId/steps",
  "steps.get": "GET /v1/runs/:runId/step",
  "state.write": "POST /v1/runs/:runId/state",
  "state.label": "POST /v1/runs/:runId/state/label",
  "state.read": "GET /v1/runs/:runId/state",
  "state.versions": "GET /v1/runs/:runId/state/versions",
  "state.diff": "GET /v1/runs/:runId/state/diff",
  "state.streams": "GET /v1/runs/:runId/streams",
  "usage.record": "POST /v1/runs/:runId/usage",
  "usage.list": "GET /v1/runs/:runId/usage",
  "usage.totals": "GET /v1/usage/totals",
  "events.list": "GET /v1/runs/:runId/events",
  "gates.open": "POST /v1/runs/:runId/gates",
  "gates.get": "GET /v1/gates/:gateId",
  "gates.list": "GET /v1/gates",
  "gates.resolve": "POST /v1/gates/:gateId/resolve",
  "gates.redeem": "POST /v1/gates/:gateId/redeem",
  "gates.form": "POST /v1/gates/:gateId/form",
  "gates.code": "POST /v1/gates/:gateId/code",
  "gates.extend": "POST /v1/gates/:gateId/extend",
  "sessions.link": "POST /v1/sessions/link",
  "timers.set": "POST /v1/runs/:runId/timers",
  "signals.send": "POST /v1/runs/:runId/signals",
  "signals.take": "POST /v1/runs/:runId/signals/take",
  "children.create": "POST /v1/runs/:runId/children",
  "children.list": "GET /v1/runs/:runId/children",
  "webhooks.create": "POST /v1/webhooks",
  "webhooks.list": "GET /v1/webhooks",
  "webhooks.update": "POST /v1/webhooks/:webhookId",
  "webhooks.rotate": "POST /v1/webhooks/:webhookId/rotate",
  "deliveries.list": "GET /v1/deliveries",
  "deliveries.redeliver": "POST /v1/deliveries/redeliver",
  "keys.create": "POST /v1/keys",
  "keys.list": "GET /v1/keys",
  "keys.revoke": "POST /v1/keys/:keyId/revoke",
  "audit.list": "GET /v1/audit",
} as const satisfies Record<keyof Operations, string>;

export type ErrorCode =
  | "input_invalid"
  | "input_refused"
  | "json_malformed"
  | "number_out_of_range"
  | "request_malformed"
  | "headers_too_large"
  | "request_timeout"
  | "content_type_unsupported"
  | "body_too_large"
  | "payload_too_large"
  | "cursor_invalid"
  | "host_refused"
  | "origin_refused"
  | "key_missing"
  | "key_invalid"
  | "scope_missing"
  | "store_read_only"
  | "route_not_found"
  | "method_not_allowed"
  | "run_not_found"
  | "step_not_found"
  | "event_not_found"
  | "step_not_kept"
  | "version_not_found"
  | "run_in_queue"
  | "dedupe_conflict"
  | "run_not_cancelled"
  | "cleanup_over"
  | "gate_not_found"
  | "gate_mismatch"
  | "gate_already_resolved"
  | "gate_expired"
  | "gate_changed"
  | "gate_code_invalid"
  | "gate_needs_human"
  | "gate_assurance_too_low"
  | "gate_own_run"
  | "gate_not_approver"
  | "gate_answer_invalid"
  | "wait_not_found"
  | "key_not_found"
  | "webhook_not_found"
  | "webhook_exists"
  | "webhook_url_refused"
  | "schedule_not_found"
  | "cron_invalid"
  | "schedule_contradiction"
  | "delivery_not_found"
  | "delivery_not_dead"
  | "idempotency_conflict"
  | "workflow_mismatch"
  | "run_leased"
  | "run_cancelled"
  | "run_completed"
  | "run_not_final"
  | "run_erased"
  | "run_waiting"
  | "run_changed"
  | "lease_lost"
  | "run_too_long"
  | "run_too_wide"
  | "run_too_deep"
  | "step_not_in_review"
  | "step_settled"
  | "version_conflict"
  | "outcome_unknown"
  | "store_busy"
  | "store_unavailable"
  | "internal";
