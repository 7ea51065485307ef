type TransferErrorCode =
  | "export_invalid"
  | "export_other_version"
  | "store_missing"
  | "store_not_empty";

/** A store cannot be exported, or an export not imported; nothing was changed. `fix` says what to do next. */
export class TransferError extends Error {
  override readonly name = "TransferError";
  readonly code: TransferErrorCode;
  readonly fix: string;

  constructor(
    code: TransferErrorCode,
    { message, fix, cause }: { message: string; fix: string; cause?: unknown },
  ) {
    super(message, { cause });
    this.code = code;
    this.fix = fix;
  }
}

/** The file is not a whole export, or not one at all. */
export function invalid(message: string, cause?: unknown): TransferError {
  return new TransferError("export_invalid", {
    message: `The export cannot be read: ${message}.`,
    fix: "Export the store again; nothing was imported.",
    cause,
  });
}
