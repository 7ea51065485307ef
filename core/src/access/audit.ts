import type { Database } from "../database.ts";
import type { Actor, AnyOperation } from "../operation.ts";
import { runsTouched } from "../touched.ts";
import * as access from "./sql.ts";

/** What an act was about: a run or an API key. */
function targetOf(input: unknown): string | undefined {
  const keyId: unknown =
    typeof input === "object" && input !== null ? Reflect.get(input, "keyId") : undefined;
  return (
    runsTouched(input, undefined)[0] ??
    (typeof keyId === "string" ? keyId.slice(0, 100) : undefined)
  );
}

/**
 * The audit trail: every refused or privileged act, by whom and with what outcome (model.md §16). A
 * privileged act is noted before and after, so that a crash in between leaves the attempt.
 */
export async function note(
  db: Database,
  { name }: AnyOperation,
  input: unknown,
  actor: Actor,
  outcome: string,
): Promise<void> {
  if (db.readOnly) return;
  const target = targetOf(input);
  await db.one(access.audit, {
    actor: actor.name,
    via: actor.via,
    operation: name,
    target,
    outcome,
  });
}
