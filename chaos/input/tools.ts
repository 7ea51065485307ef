import type { AnyOperation } from "@tidebase/core";
import fc from "fast-check";
import { ALL_TOOLS } from "../../mcp-server/src/tools/index.ts";
import { checkFor } from "./attack.ts";
import { type Case, casesOf, inputOf, type Known, shapeOf } from "./cases.ts";
import { type Execute, goodInput } from "./good-input.ts";
import type { McpClient, RpcAnswer } from "./mcp-client.ts";

/** One of them. */
export type Tool = (typeof ALL_TOOLS)[number];

/** Every tool there is. */
export const TOOLS: readonly Tool[] = ALL_TOOLS;

/** What one tool answered. */
export interface CalledTool {
  readonly tried: number;
  readonly admitted: number;
  readonly refused: number;
  readonly problem?: string;
}

/** What a good call could say for a member of each name of a tool's arguments. */
export async function goodArguments(
  execute: Execute,
  { name }: Pick<Tool, "name">,
  webhookUrl: string,
): Promise<Known> {
  const known = await goodInput(execute, { name: MADE_FOR[name] ?? "runs.get" }, { webhookUrl });
  const lease = { runId: known["runId"], epoch: known["epoch"], grantId: known["grantId"] };
  if (name === "tidebase_recover_run")
    await execute("runs.fail", { ...lease, error: { message: "m" } });
  if (name === "tidebase_wait_for_run") await execute("runs.cancel", { runId: lease.runId }); // nobody has to wait
  if (name === "tidebase_manage_queue") return { queue: "q/1", ...PAUSE };
  if (name === "tidebase_manage_schedule") {
    await execute("schedules.put", { name: "nightly", workflow: "w", cron: "@yearly" });
    return { name: "nightly", queue: undefined, ...PAUSE };
  }
  const { run } = await execute("runs.get", { runId: lease.runId });
  const asOf = (run as { lastSeq: number }).lastSeq;
  const common = { ...known, limit: 5, from: undefined, edit: undefined, timeoutMs: 5, asOf };
  const { secret } = known["proof"] as { readonly secret: string };
  if (name === "tidebase_resolve_gate")
    return { ...common, proposedDecision: "approved", approvalCode: secret };
  if (name.startsWith("tidebase_list_")) return { ...common, ...UNFILTERED };
  return { ...common, ...WHOLE };
}

/** What other actions take has no place in a pause. */
const PAUSE = {
  ...{ action: "pause", dryRun: true, concurrency: undefined, keyConcurrency: undefined },
  ...{ ratePerMinute: undefined, workflow: undefined, failureClass: undefined, search: undefined },
  ...{ until: undefined, idempotencyKey: undefined, cron: undefined, timezone: undefined },
  ...{ input: undefined, catchUp: undefined, overlap: undefined },
};

/** The operation whose good input a tool needs. */
const MADE_FOR: Readonly<Record<string, AnyOperation["name"]>> = {
  tidebase_resolve_gate: "gates.redeem",
  tidebase_review_step: "steps.review",
  tidebase_fork_run: "steps.get",
};

const UNFILTERED = {
  status: undefined,
  key: "k",
  payload: "full",
  name: undefined,
  diffFrom: undefined,
};
const WHOLE = { until: "change", path: "", version: undefined, diffFrom: undefined };

const RENEW_AFTER = 50;

/** Sends cases to one tool; each must be answered by a result, an error of the tool or one of the protocol. */
export async function callTool(
  tool: Tool,
  client: McpClient,
  {
    execute,
    webhookUrl,
    seed,
    cases,
    ms,
  }: {
    readonly execute: Execute;
    readonly webhookUrl: string;
    readonly seed: number;
    readonly cases: number;
    readonly ms: number;
  },
): Promise<CalledTool> {
  const counts = { admitted: 0, refused: 0 };
  let known: Known | undefined;
  let uses = 0;
  const property = fc.asyncProperty(casesOf(shapeOf(tool.input)), async (one) => {
    if (uses++ % RENEW_AFTER === 0) known = undefined;
    known ??= await goodArguments(execute, tool, webhookUrl);
    const answer = await client.ask("tools/call", {
      name: tool.name,
      arguments: argumentsOf(one, known),
    });
    const wrong = wrongOfTool(answer);
    if (wrong !== undefined) throw new Error(wrong);
    if (isAdmitted(answer)) counts.admitted += 1;
    else counts.refused += 1;
  });
  const result = await checkFor(property, seed, { cases, ms });
  if (!result.failed) return { tried: result.numRuns, ...counts };
  const shown = JSON.stringify(result.counterexample).slice(0, 1500);
  const error = String(result.errorInstance).slice(0, 500);
  const where = `seed ${result.seed}, path ${result.counterexamplePath}`;
  return {
    tried: result.numRuns,
    ...counts,
    problem: `(${where}) ${error} for ${shown}`,
  };
}

/** Arguments that are no object at all are sent as they are. */
export function argumentsOf(one: Case, known: Known): unknown {
  if (one.text === undefined) return inputOf(one, known);
  try {
    return JSON.parse(one.text);
  } catch {
    return one.text;
  }
}

/** Whether the tool did what it was called for. */
export function isAdmitted({ result, error }: RpcAnswer): boolean {
  return error === undefined && result?.["isError"] !== true;
}

/** What is wrong with the answer to a call; undefined when it is a result or says what to mend. */
export function wrongOfTool({ result, error }: RpcAnswer): string | undefined {
  if (error !== undefined) {
    const { code } = error;
    const known = typeof code === "number" && code <= -32_000 && code !== -32_603;
    return known ? undefined : `an error ${JSON.stringify(error).slice(0, 300)}`;
  }
  if (result === undefined) return "neither a result nor an error";
  const { isError, content, structuredContent } = result as Record<string, unknown>;
  if (!Array.isArray(content)) return "a result without content";
  if (isError !== true)
    return typeof structuredContent === "object" ? undefined : "an unstructured result";
  const code = errorOf({ result })?.["code"];
  if (typeof code !== "string")
    return `an error without a code ${JSON.stringify(content).slice(0, 300)}`;
  return code === "internal" ? `the error ${JSON.stringify(content).slice(0, 300)}` : undefined;
}

/** The error that a tool answered, if it did. */
export function errorOf({ result }: RpcAnswer): Record<string, unknown> | undefined {
  if (result?.["isError"] !== true) return undefined;
  const [block] = result["content"] as { text?: string }[];
  try {
    return JSON.parse(block?.text ?? "").error;
  } catch {
    return undefined;
  }
}
