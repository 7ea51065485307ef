import type { Operations } from "../operations.gen.ts";
import { duplicateStep } from "./refusals.ts";

type Begun = Operations["runs.begin"]["output"];
/** A completed step as the server keeps it. */
export type JournalEntry = Begun["journal"][number];
/** A step that an earlier attempt did not complete. */
export type Unfinished = Begun["unfinished"][number];

/** What is known of a step before it runs. */
export interface Claimed {
  /** The name it is recorded under: a former one, where that is what was found. */
  readonly name: string;
  readonly entry?: JournalEntry;
  readonly unfinished?: Unfinished;
}

/** `begin` names at most this many unfinished steps; beyond it nothing is known of the others. */
const UNFINISHED_LIMIT = 1000;

/** What earlier attempts recorded, by name and key, and what this attempt has asked for. */
export class Recorded {
  readonly #journal: Map<string, JournalEntry>;
  readonly #unfinished: Map<string, Unfinished>;
  readonly #asked = new Set<string>();
  /** True when an unfinished step may be missing: then every step has to ask the server first. */
  readonly isPartial: boolean;

  constructor(journal: readonly JournalEntry[], unfinished: readonly Unfinished[]) {
    this.#journal = new Map(journal.map((entry) => [identity(entry.name, entry.key), entry]));
    this.#unfinished = new Map(unfinished.map((step) => [identity(step.name, step.key), step]));
    this.isPartial = unfinished.length >= UNFINISHED_LIMIT;
  }

  /** Throws `duplicate_step` when this attempt has asked for the pair before. */
  claim(name: string, key: string, was: readonly string[] = []): Claimed {
    const found = [name, ...was].find((known) => this.#has(identity(known, key))) ?? name;
    const own = identity(name, key);
    const recorded = identity(found, key);
    if (this.#asked.has(own) || this.#asked.has(recorded)) throw duplicateStep({ name, key });
    this.#asked.add(own).add(recorded);
    const entry = this.#journal.get(recorded);
    const unfinished = this.#unfinished.get(recorded);
    return { name: found, ...(entry && { entry }), ...(unfinished && { unfinished }) };
  }

  /** Recorded steps that nothing has asked for, at most fifty. */
  orphans(): { name: string; key: string }[] {
    const all = [...this.#journal.entries(), ...this.#unfinished.entries()];
    return all
      .filter(([id]) => !this.#asked.has(id))
      .slice(0, 50)
      .map(([, { name, key }]) => ({ name, key }));
  }

  #has(id: string): boolean {
    return this.#journal.has(id) || this.#unfinished.has(id);
  }
}

/** NUL is the one character that no name may hold, so no two steps share an identity. */
function identity(name: string, key: string): string {
  return `${name}\u0000${key}`;
}
