/** A small change of one of our files. */
export interface Edit {
  /** Path below the root of the repository. */
  readonly file: string;
  /** Stands in the file exactly once. */
  readonly search: string;
  readonly replace: string;
}

/** The text with the edit made. Throws where its place is not found exactly once: the code has moved, so the edit must too. */
export function edited(text: string, { file, search, replace }: Edit): string {
  const parts = text.split(search);
  if (parts.length !== 2)
    throw new Error(
      `${file} holds the following ${parts.length - 1} times, not once; move the edit:\n${search}`,
    );
  return parts.join(replace);
}
