import { CRASH_AT, type Place, POINTS_FILE, readPlace } from "./place.ts";

/** What the variables of a process under test say. */
export function readHookSettings(): {
  readonly crashAt: Place | undefined;
  readonly file: string | undefined;
} {
  return { crashAt: readPlace(process.env[CRASH_AT]), file: process.env[POINTS_FILE] };
}
