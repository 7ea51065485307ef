import { fences } from "./fences.ts";
import type { Mutant } from "./mutant.ts";
import { sweeps } from "./sweeps.ts";
import { transactions } from "./transactions.ts";

/** The twelve of reliability.md §2.6, in its order. */
export const mutants: readonly Mutant[] = [...fences, ...transactions, ...sweeps].sort(
  (one, other) => Number.parseInt(one.id, 10) - Number.parseInt(other.id, 10),
);
