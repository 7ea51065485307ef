import type { ErrorCode, SdkErrorCode } from "@tidebase/sdk";

/** What happened, and what to do next. */
type Entry = readonly [title: string, detail: string];

/** The codes that the SDK itself throws, besides those of the server; the compiler wants each of them. */
export const SDK_ERRORS: Readonly<Record<Exclude<SdkErrorCode, ErrorCode>, Entry>> = {
  child_cancelled: [
    "A child was cancelled.",
    "Catch it, or ask for the work under another key; a cancelled run stays so.",
  ],
  child_failed: [
    "A child has failed.",
    "`childRunId` names it. Look at its verdict and recover it; the parent finds its new end when it is begun again.",
  ],
  child_mismatch: [
    "A child of this name and key was created with another workflow, input, tags or metadata.",
    "Give other work another name or key.",
  ],
  client_closed: ["The client is closed.", "Make the call before `close()`, or with a new client."],
  config_invalid: [
    "An option or a variable cannot be meant so, or is set and empty.",
    "Correct the one that the message names.",
  ],
  duplicate_step: [
    "A step of this name and key was asked for twice in one attempt.",
    "Give each its own `key`.",
  ],
  fanout_failed: [
    "Children of a fan-out have no result.",
    "`failed` lists them. Recover them; the parent finds their new ends when it is begun again.",
  ],
  gate_not_json: ["Something in a gate's question is no plain JSON.", "Give plain JSON."],
  input_mismatch: [
    "A step was recorded with another input; its recorded output is not used.",
    "Give other work another name or key, or run it with the recorded input.",
  ],
  manual_review_required: [
    "A step may have had its effect, and does not run again by itself.",
    "Look whether it happened, and review it as `retry`, `completed` or `failed`.",
  ],
  output_too_large: [
    "The output of a step is larger than the limit.",
    "Store it elsewhere and return its address.",
  ],
  run_failed: ["The run has failed.", "Its verdict says whether it is safe to run again."],
  run_released: [
    "This process no longer works on the run; it was handed back.",
    "Nothing: it goes on when it is begun again.",
  ],
  run_suspended: [
    "The run waits, and holds no process. No failure.",
    "`waits` and `wakeAt` say for what. Begin it again when that has happened.",
  ],
  server_answer_invalid: [
    "The server's answer is none of Tidebase's.",
    "Look whether a proxy or another program is at this address.",
  ],
  server_unreachable: [
    "No server answers at the address.",
    "Start one (`npx tidebase-server`), or set `TIDEBASE_URL` to the address of one.",
  ],
  signal_invalid: [
    "The payload of a signal does not fit the schema of `run.waitFor`.",
    "It is taken, and every replay gets it again: handle it, or mend the schema.",
  ],
  signal_not_json: ["The payload of a signal is no plain JSON.", "Give plain JSON."],
  state_not_json: ["What was written to the state is no plain JSON.", "Give plain JSON."],
  step_failed: [
    "A step has failed for good.",
    "Mend the cause and review it as `retry`, or go on without it.",
  ],
  step_timeout: [
    "A step did not end within its `timeoutMs`.",
    "Pass its `signal` to what takes long; raise the time where it is too short.",
  ],
  undecodable_output: [
    "A recorded value cannot be read back.",
    "Use the version of the SDK that wrote it, or newer.",
  ],
  unserializable_output: [
    "What a step gave back cannot be recorded.",
    "Give back plain data; the message names the place.",
  ],
  usage_not_json: ["A usage record is no plain JSON.", "Give plain JSON."],
  workflow_not_registered: [
    "No workflow of this name is registered in this process.",
    "Call `tide.workflow(name, …)` first.",
  ],
  workflow_registered_twice: [
    "A workflow of this name is registered already.",
    "Register each once in a client.",
  ],
};
