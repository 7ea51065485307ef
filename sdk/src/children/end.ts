import { decode } from "../encoding/encoding.ts";
import { sentence, TidebaseError } from "../errors.ts";
import type { Operations } from "../operations.gen.ts";
import { called } from "../steps/refusals.ts";

/** A child as its parent sees it. */
export type ListedChild = Operations["children.list"]["output"]["children"][number];
export type Status = ListedChild["status"];

/** How a child ended. */
export type ChildEnd =
  | { readonly status: "completed"; readonly result: unknown }
  | {
      readonly status: "failed" | "cancelled";
      readonly failureClass: string | null;
      readonly message: string | null;
      /** What it threw, where it was executed in this process. */
      readonly cause?: unknown;
    };

/** Why a child has no result. */
export interface ChildFailure {
  readonly code: "child_failed" | "child_cancelled";
  /** What the child failed with, or why it was cancelled. */
  readonly message: string;
  readonly childRunId: string;
  readonly key: string;
  readonly failureClass: string | null;
}

/** Statuses in which whoever has its code may begin a child that has no queue. */
export function isReady(status: Status): boolean {
  return status === "pending" || status === "interrupted";
}

/** Whether nothing happens to it any more but by somebody's act. */
export function isEnd(status: Status): boolean {
  return status === "completed" || status === "failed" || status === "cancelled";
}

/** How it ended, as the server says; undefined while it has not. */
export function endOf(
  child: Pick<ListedChild, "status" | "failureClass" | "errorMessage" | "result" | "resultMeta">,
): ChildEnd | undefined {
  const { status, failureClass, errorMessage: message } = child;
  if (status === "completed")
    return { status, result: decode(child.result ?? null, child.resultMeta ?? null) };
  if (status === "failed" || status === "cancelled") return { status, failureClass, message };
  return undefined;
}

/** The failure as plain values, so that it can be recorded. */
export function failureOf(
  end: Exclude<ChildEnd, { status: "completed" }>,
  childRunId: string,
  key: string,
): ChildFailure {
  const code = end.status === "failed" ? "child_failed" : "child_cancelled";
  const message = end.message ?? (end.status === "failed" ? "no message" : "cancelled");
  return { code, message, childRunId, key, failureClass: end.failureClass };
}

/** What `run.child` throws for a child without a result. */
export function childError(
  name: string,
  { code, message, childRunId, key, failureClass }: ChildFailure,
  cause: unknown,
): TidebaseError {
  const child = `Child ${called({ name, key })} (${childRunId})`;
  const says =
    code === "child_cancelled"
      ? `${child} was cancelled: ${sentence(message)} Catch this, or ask for it under another key.`
      : `${child} has failed (${failureClass}): ${sentence(message)} Look at its verdict and recover it; the parent finds its new end when it is begun again.`;
  const data = { childRunId, name, key, failureClass, message };
  return new TidebaseError(code, says, data, cause === undefined ? {} : { cause });
}

/** Code that changed, or an edge that is used for two things. */
export function childMismatch(what: string, data: Readonly<Record<string, unknown>>) {
  return new TidebaseError(
    "child_mismatch",
    `${what} was created with another workflow, input, tags or metadata. Its result is not used. Give other work another name or key.`,
    data,
  );
}
