import type { Edit } from "../mutants/edit.ts";

/** Hostile circumstances under which ordinary tests have to pass as they are. */
export interface Profile {
  /** The name of its `….config.ts`, and in reports. */
  readonly id: string;
  readonly title: string;
  /**
   * How it is imposed: changes of a constant of ours, or of the one place where tests open something, made while a file
   * is loaded. Each test file must load all of them, or it fails.
   */
  readonly edits: readonly Edit[];
  /** What else has to have happened in each file, as `fired()` counts it. */
  readonly fires?: readonly string[];
  /** The profile whose tests must have passed before this one's are judged: it differs in one thing. */
  readonly control?: string;
  /** Started before the tests, besides the Postgres of every test run. */
  readonly globalSetup?: string;
  /** The test files, the most telling ones first. */
  readonly files: readonly string[];
  /** How many of them say most, for a run that has little time. */
  readonly telling: number;
  /** Tests of these files that are left out, by their titles, and why: what they measure is what the profile changes. */
  readonly besides: Readonly<Record<string, string>>;
}
