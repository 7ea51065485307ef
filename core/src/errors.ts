/**
 * Every way to fail. `title` says what happened, `detail` what to do next, `retry` whether the same
 * call may succeed later.
 */
export const ERRORS = {
  input_invalid: {
    status: 400,
    title: "The input does not match the operation's schema.",
    detail: "Correct the fields named in `issues`.",
    retry: false,
  },
  input_refused: {
    status: 422,
    title: "Postgres cannot store a value of the input.",
    detail: "Remove NUL characters from names and keys, and send no item twice.",
    retry: false,
  },
  json_malformed: {
    status: 400,
    title: "The request body is not a JSON object in UTF-8.",
    detail: "Send one JSON object, or no body at all.",
    retry: false,
  },
  number_out_of_range: {
    status: 400,
    title: "A number of the body is too large for a double.",
    detail: "Send it as a string; JSON numbers are IEEE doubles here (RFC 7493).",
    retry: false,
  },
  request_malformed: {
    status: 400,
    title: "The bytes sent are not an HTTP request this server understands.",
    detail: "Check the request line, the path's percent-encoding and the headers.",
    retry: false,
  },
  headers_too_large: {
    status: 431,
    title: "The request line and headers are larger than the server takes.",
    detail: "Send at most 16 KiB of address and headers; long values belong in the body.",
    retry: false,
  },
  request_timeout: {
    status: 408,
    title: "The request did not arrive in time.",
    detail: "Send the whole request again without pauses.",
    retry: true,
  },
  content_type_unsupported: {
    status: 415,
    title: "The request body is not sent as JSON.",
    detail: "Send the header `content-type: application/json`.",
    retry: false,
  },
  body_too_large: {
    status: 413,
    title: "The request body is larger than the server takes.",
    detail: "Send at most `limitBytes`; keep large documents elsewhere and record their address.",
    retry: false,
  },
  payload_too_large: {
    status: 413,
    title: "A payload is larger than the server stores.",
    detail: "Store at most `limitBytes`; keep large documents elsewhere and record their address.",
    retry: false,
  },
  cursor_invalid: {
    status: 400,
    title: "The cursor does not belong to this list.",
    detail: "Send the cursor with the same filters as the page it came from, or leave it out.",
    retry: false,
  },
  host_refused: {
    status: 403,
    title: "The server does not answer to this host name.",
    detail: "Use the address the server listens on, or allow the name with TIDEBASE_ALLOWED_HOSTS.",
    retry: false,
  },
  origin_refused: {
    status: 403,
    title: "Requests from this origin are refused.",
    detail: "Call the server from a program, or allow the origin with TIDEBASE_ALLOWED_ORIGINS.",
    retry: false,
  },
  key_missing: {
    status: 401,
    title: "The server asks for an API key.",
    detail:
      "Send `authorization: Bearer tb_…`; `npx tidebase keys create <name> --scopes read,work,enqueue` makes one.",
    retry: false,
  },
  key_invalid: {
    status: 401,
    title: "The API key is unknown, expired or revoked.",
    detail: "Use a key that is listed by `npx tidebase keys list`.",
    retry: false,
  },
  scope_missing: {
    status: 403,
    title: "The caller may not do this.",
    detail:
      "Use a key that has the scope named in `scope`; `npx tidebase keys create <name> --scopes …` on the server's machine makes one.",
    retry: false,
  },
  store_read_only: {
    status: 403,
    title: "This connection only reads.",
    detail: "Start the program with writes allowed to do this.",
    retry: false,
  },
  route_not_found: {
    status: 404,
    title: "Nothing answers at this path.",
    detail: "Compare the path with /openapi.json.",
    retry: false,
  },
  method_not_allowed: {
    status: 405,
    title: "The path does not answer to this method.",
    detail: "Use one of the methods in the `allow` header.",
    retry: false,
  },
  run_not_found: {
    status: 404,
    title: "No run has that id.",
    detail: "Check the id; list runs to find the one you mean.",
    retry: false,
  },
  step_not_found: {
    status: 404,
    title: "The run has no step of that name and key.",
    detail: "List the run's steps to find the one you mean.",
    retry: false,
  },
  event_not_found: {
    status: 404,
    title: "The run's log has no event of that number.",
    detail: "Its events run from 1 to `seq` without gap; list them to find the moment you mean.",
    retry: false,
  },
  step_not_kept: {
    status: 409,
    title: "The fork would not keep the step whose output is edited.",
    detail:
      "Only a step that was completed by the moment at which the fork departs can be edited: choose a later moment, or edit another step.",
    retry: false,
  },
  version_not_found: {
    status: 404,
    title: "The stream has no such version.",
    detail: "List the stream's versions; they run from 1 without gap.",
    retry: false,
  },
  run_in_queue: {
    status: 409,
    title: "The run belongs to a queue and begins by claim only.",
    detail:
      "Let a worker of the queue claim it (`tide.work`), so that the queue's limits and pause hold; `npx tidebase runs recover` queues it now.",
    retry: false,
  },
  dedupe_conflict: {
    status: 409,
    title: "Another run is active under the same dedupe key.",
    detail: "Wait for the run named in `activeRunId` to end, or cancel it; then try again.",
    retry: false,
  },
  run_not_cancelled: {
    status: 409,
    title: "Only a cancelled run is cleaned up.",
    detail: "Clean up when the run's signal says `run_cancelled`.",
    retry: false,
  },
  cleanup_over: {
    status: 409,
    title: "The run's clean-up was begun before, or its grace is over.",
    detail: "Nothing: leftovers of the run are yours to remove by hand.",
    retry: false,
  },
  gate_not_found: {
    status: 404,
    title: "No gate has that id.",
    detail: "Check the id; list the gates to find the one you mean.",
    retry: false,
  },
  gate_mismatch: {
    status: 409,
    title: "The gate is decided, and asked something else.",
    detail: "Nobody saw the new content: open a gate of another name or key for it.",
    retry: false,
  },
  gate_already_resolved: {
    status: 409,
    title: "The gate is not open any more.",
    detail: "The first decision stands: see `gateStatus` and `decidedBy`.",
    retry: false,
  },
  gate_expired: {
    status: 409,
    title: "The gate's time is over.",
    detail: "It counts as not approved. The run may ask again under another name or key.",
    retry: false,
  },
  gate_changed: {
    status: 409,
    title: "The gate asks something else by now.",
    detail: "Read the gate again and decide on what it says, naming its `digest`.",
    retry: false,
  },
  gate_code_invalid: {
    status: 403,
    title: "The code, token or phrase does not decide this.",
    detail:
      "It works once, for one decision, for a short time, and not after five wrong tries. A human makes another with `npx tidebase gates code <id> --approve` (or `--reject`).",
    retry: false,
  },
  gate_needs_human: {
    status: 403,
    title: "A human has to do this.",
    detail:
      "Use `npx tidebase gates decide <id> --approve` (or `--reject`) at a terminal, the gate's page, or a key with the scope `approve`.",
    retry: false,
  },
  gate_assurance_too_low: {
    status: 403,
    title: "The gate asks to be surer that a human decides.",
    detail: "It needs what `required` says: a one-time code, or somebody who is signed in.",
    retry: false,
  },
  gate_own_run: {
    status: 403,
    title: "Whoever asks cannot answer.",
    detail: "The key that opened the gate or worked on its run cannot decide it; use another.",
    retry: false,
  },
  gate_not_approver: {
    status: 403,
    title: "The gate names others to decide it.",
    detail: "One of its `approvers` has to.",
    retry: false,
  },
  gate_answer_invalid: {
    status: 422,
    title: "The answer does not fit the gate's form.",
    detail: "Correct what `problems` names; nothing is filled in for you.",
    retry: false,
  },
  wait_not_found: {
    status: 409,
    title: "The run would wait for something that does not exist.",
    detail: "Open the gate, set the timer, create the child or record the step's failure first.",
    retry: false,
  },
  key_not_found: {
    status: 404,
    title: "No API key has that id.",
    detail: "List the keys to find the one you mean.",
    retry: false,
  },
  webhook_not_found: {
    status: 404,
    title: "No webhook has that id or name.",
    detail:
      "List the webhooks to find the one you mean, or make it: `npx tidebase webhooks create <name> --to <url>`.",
    retry: false,
  },
  webhook_exists: {
    status: 409,
    title: "A webhook of that name exists.",
    detail: "Update it, rotate its secret, or choose another name.",
    retry: false,
  },
  webhook_url_refused: {
    status: 422,
    title: "No message may be sent to that URL.",
    detail:
      "`reason` says why. Use https to a public address, or have TIDEBASE_WEBHOOK_ALLOW name the host.",
    retry: false,
  },
  schedule_not_found: {
    status: 404,
    title: "No schedule has that name.",
    detail: "List the schedules to find the one you mean.",
    retry: false,
  },
  cron_invalid: {
    status: 422,
    title: "The schedule's cron expression or time zone is not valid.",
    detail: "Write what `problem` says.",
    retry: false,
  },
  schedule_contradiction: {
    status: 422,
    title: "The schedule would make up for all missed fires at once and hold them back.",
    detail:
      "With `catchUp: all` let runs overlap (`overlap: allow`), or catch up the `latest` only.",
    retry: false,
  },
  delivery_not_found: {
    status: 404,
    title: "No delivery has that id.",
    detail: "List the deliveries to find the one you mean.",
    retry: false,
  },
  delivery_not_dead: {
    status: 409,
    title: "The delivery was not given up.",
    detail: "Nothing is to be sent again: it was delivered, or is still tried.",
    retry: false,
  },
  idempotency_conflict: {
    status: 409,
    title: "The key or id already belongs to a run with another body.",
    detail:
      "Send the first body again, or choose another key. Where it is known, `differs` names what is not the same.",
    retry: false,
  },
  workflow_mismatch: {
    status: 409,
    title: "The run belongs to another workflow.",
    detail: "Begin it with the workflow named in `workflow`.",
    retry: false,
  },
  run_leased: {
    status: 409,
    title: "Another worker holds the run.",
    detail: "Wait `leaseLeftMs`, then begin again; `holder` says who it is.",
    retry: true,
  },
  run_cancelled: {
    status: 409,
    title: "The run was cancelled.",
    detail: "Stop working on it; nothing more is recorded.",
    retry: false,
  },
  run_completed: {
    status: 409,
    title: "The run is completed.",
    detail: "Read its result; to do the work again, create a new run.",
    retry: false,
  },
  run_not_final: {
    status: 409,
    title: "Only what has ended for good is erased.",
    detail:
      "The runs named in `runIds`, up to ten, are not completed or cancelled: wait for them or cancel them first. A child is erased once its parent is final too, which could still read it.",
    retry: false,
  },
  run_erased: {
    status: 410,
    title: "The run's content was erased.",
    detail: "Its skeleton can be read; to do the work again, create a new run.",
    retry: false,
  },
  run_waiting: {
    status: 409,
    title: "The run waits for something.",
    detail: "Settle what it waits for; the verdict names it.",
    retry: false,
  },
  run_changed: {
    status: 409,
    title: "The run has moved since the dry run.",
    detail: "Make the dry run again and decide on its answer.",
    retry: false,
  },
  lease_lost: {
    status: 409,
    title: "The lease is not the run's present one.",
    detail: "Stop working on the run; begin it again to take it over.",
    retry: false,
  },
  run_too_long: {
    status: 422,
    title: "The run has as many steps as a run may have.",
    detail: "Split the work over several runs.",
    retry: false,
  },
  run_too_wide: {
    status: 422,
    title: "The run has as many children as a run may have.",
    detail: "Give children children of their own, or let each do more.",
    retry: false,
  },
  run_too_deep: {
    status: 422,
    title: "The run lies as deep in a tree of children as a run may.",
    detail: "Do the work in the run itself, or create a run of its own for it.",
    retry: false,
  },
  step_not_in_review: {
    status: 409,
    title: "The step waits for no review.",
    detail: "Nothing is to be settled: its status is in `stepStatus`.",
    retry: false,
  },
  step_settled: {
    status: 409,
    title: "A step of that name and key has failed or waits for a review.",
    detail: "Give the wait another name or key; the signal was not used up.",
    retry: false,
  },
  version_conflict: {
    status: 409,
    title: "The stream is at another version.",
    detail: "Read version `latest`, decide again and send it as `expectVersion`.",
    retry: false,
  },
  outcome_unknown: {
    status: 503,
    title: "The connection was lost before the answer came.",
    detail: "Send the same call again: a repeated call finds its own result.",
    retry: true,
  },
  store_busy: {
    status: 503,
    title: "Somebody else's open transaction holds what this call needs.",
    detail:
      "Nothing was changed. Send the same call again; if it stays so, look for a transaction of yours that enqueued and never ended.",
    retry: true,
  },
  store_unavailable: {
    status: 503,
    title: "The database cannot be reached.",
    detail: "Nothing was changed. Check that the database runs, then send the same call again.",
    retry: true,
  },
  internal: {
    status: 500,
    title: "Tidebase failed.",
    detail: "Find the request id in the server's log.",
    retry: true,
  },
} as const satisfies Record<
  string,
  { status: number; title: string; detail: string; retry: boolean }
>;

/** The codes of the table; a released code is never renamed. */
export type ErrorCode = keyof typeof ERRORS;

/**
 * The only error core throws on purpose. `data` holds ids and numbers for the caller, never free
 * text.
 */
export class TidebaseError<Code extends ErrorCode = ErrorCode> extends Error {
  override readonly name = "TidebaseError";
  readonly code: Code;
  readonly data: Readonly<Record<string, unknown>>;

  constructor(code: Code, { cause, ...data }: Readonly<Record<string, unknown>> = {}) {
    super(ERRORS[code].title, { cause });
    this.code = code;
    this.data = data;
  }
}

/** RFC 9457. `type` is a path this server answers itself. */
export interface Problem {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  readonly code: ErrorCode;
  readonly retry: boolean;
  readonly [member: string]: unknown;
}

/**
 * What a caller may see of a thrown value. Whatever is not ours is `internal` and says nothing
 * more.
 */
export function toProblem(thrown: unknown): Problem {
  const error: TidebaseError =
    thrown instanceof TidebaseError ? thrown : new TidebaseError("internal");
  return {
    ...error.data,
    type: `/v1/errors/${error.code}`,
    code: error.code,
    ...ERRORS[error.code],
  };
}
