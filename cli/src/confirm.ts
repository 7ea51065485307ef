import type { Cli } from "./cli.ts";
import { CommandError, UsageError } from "./failure.ts";

/** What a human is about to do. */
interface Deed {
  /** What it does, as a sentence. */
  readonly does: string;
  /** The word to be typed, which is what it does. */
  readonly word: string;
  readonly yes: boolean | undefined;
}

/**
 * Comes back when --yes was given or the human has typed the word. Throws UsageError where nobody can be
 * asked, and `not_confirmed` when something else was typed.
 */
export async function confirm(cli: Cli, { does, word, yes }: Deed): Promise<void> {
  if (yes === true) return;
  if (!canAsk(cli)) throw new UsageError(does, "Add --yes.");
  const typed = await cli.terminal.ask(`${does} Type "${word}" to do it: `);
  if (typed === word) return;
  throw new CommandError("not_confirmed", {
    message: "Nothing was done.",
    fix: `Type "${word}" to confirm, or add --yes.`,
  });
}

/** Somebody can be asked: --json never asks. */
export function canAsk({ terminal, flags }: Cli): boolean {
  return terminal.interactive && flags().json !== true;
}
