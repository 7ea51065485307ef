import type { Environment } from "@tidebase/core";

/** Whether TIDEBASE_READ_ONLY asks for it; whatever is no clear no, does. */
export function isReadOnly(env: Environment): boolean {
  const value = env["TIDEBASE_READ_ONLY"];
  return value !== undefined && value !== "0" && value !== "false";
}

/** Why nothing is written, whatever the store; undefined when neither the environment nor `--read-only` says so. */
export function readOnlyReason(env: Environment, readOnly: boolean): string | undefined {
  if (isReadOnly(env)) return "TIDEBASE_READ_ONLY is set.";
  return readOnly ? "Started with --read-only." : undefined;
}
