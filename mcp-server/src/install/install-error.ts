/** Why nothing was changed, and in `fix` what to do about it. Both are shown to the user. */
export class InstallError extends Error {
  override readonly name = "InstallError";
  readonly fix: string;

  constructor(message: string, { fix, cause }: { readonly fix: string; readonly cause?: unknown }) {
    super(message, cause === undefined ? undefined : { cause });
    this.fix = fix;
  }
}
