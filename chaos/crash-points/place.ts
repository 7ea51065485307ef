/** A crash point of a process: before its nth call leaves it, or after the answer came and before anybody was told. */
export interface Place {
  /** From 1: calls to the database and outgoing requests, in the order in which they leave. */
  readonly n: number;
  readonly when: "before" | "after";
}

/** The variable that tells a process where to die; unset, it only counts. */
export const CRASH_AT = "CHAOS_CRASH_AT";
/** The variable that names the file in which a process tells where it died, or how many points it passed. */
export const POINTS_FILE = "CHAOS_POINTS_FILE";

/** Such as `12:before`. */
export function placeText({ n, when }: Place): string {
  return `${n}:${when}`;
}

/** Undefined for what names no place. */
export function readPlace(text: string | undefined): Place | undefined {
  const [, n, when] = /^(\d+):(before|after)$/.exec(text ?? "") ?? [];
  if (n === undefined || (when !== "before" && when !== "after")) return undefined;
  return { n: Number(n), when };
}

/** What a process told of its points. */
export interface Told {
  /** The points that it passed; undefined unless it ended by itself. */
  readonly passed: number | undefined;
  /** The call at which it died, such as `database steps.complete`; undefined unless it did. */
  readonly died: string | undefined;
}

/** Reads the file of a process that has ended. */
export function readTold(text: string): Told {
  const passed = /^passed (\d+)$/m.exec(text)?.[1];
  return {
    passed: passed === undefined ? undefined : Number(passed),
    died: /^died (.*)$/m.exec(text)?.[1],
  };
}
