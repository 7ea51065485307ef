/** Every way in which the store cannot be found, started or opened. */
export type StoreErrorCode =
  | "variable_empty"
  | "variable_unexpanded"
  | "variable_invalid"
  | "schema_invalid"
  | "database_unreachable"
  | "database_refused"
  | "postgres_too_old"
  | "migration_changed"
  | "migration_failed"
  | "migrations_missing"
  | "migrations_pending"
  | "store_newer"
  | "embedded_busy"
  | "embedded_failed"
  | "embedded_in_use"
  | "embedded_other_version"
  | "embedded_unsupported";

/**
 * The store cannot be used. `message` says what happened, `fix` what to do next; neither ever holds
 * a password.
 */
export class StoreError extends Error {
  override readonly name = "StoreError";
  readonly code: StoreErrorCode;
  readonly fix: string;

  constructor(
    code: StoreErrorCode,
    { message, fix, cause }: { message: string; fix: string; cause?: unknown },
  ) {
    super(message, { cause });
    this.code = code;
    this.fix = fix;
  }
}
