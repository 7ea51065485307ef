import { type Backend, ERRORS, type FoundStore, TidebaseError } from "@tidebase/core";
import type { Cli } from "./cli.ts";
import { CommandError } from "./failure.ts";
import { withBackend } from "./stores.ts";

/** Somebody sits there: reads what is printed, and types. */
export function atTerminal({ terminal }: Cli): boolean {
  return terminal.interactive && terminal.screen;
}

/**
 * As withBackend, for what only a human may do: a store of one's own takes the word of its machine's
 * terminal, and of nothing else (model.md §7); a server takes that of the key.
 */
export async function withHuman<T>(
  cli: Cli,
  work: (backend: Backend, found: FoundStore) => Promise<T>,
): Promise<T> {
  const attempt = async (backend: Backend, found: FoundStore): Promise<T> => {
    try {
      return await work(backend, found);
    } catch (thrown) {
      throw advised(thrown, found);
    }
  };
  return await withBackend(cli, attempt, atTerminal(cli) ? "tty" : "cli");
}

/**
 * Throws `terminal_needed` when a secret would be printed where nobody sits. On a store of one's own the
 * refusal is the store's, so that its audit trail has it.
 */
export function refusePipe(cli: Cli, { kind }: FoundStore, what: string): void {
  if (kind !== "remote" || atTerminal(cli)) return;
  throw new CommandError("terminal_needed", {
    message: `${what} is shown to a human at a terminal only, and this is none.`,
    fix: "Run the command yourself, with its input and output not redirected.",
  });
}

/** The refusal with what helps from here; all else as it is. */
function advised(thrown: unknown, { kind }: FoundStore): unknown {
  if (!(thrown instanceof TidebaseError)) return thrown;
  const { code, data }: TidebaseError = thrown;
  const fix = adviceFor(thrown, kind === "remote");
  if (fix === undefined) return thrown;
  return new CommandError(code, { message: ERRORS[code].title, fix, data, cause: thrown });
}

function adviceFor({ code, data }: TidebaseError, remote: boolean): string | undefined {
  if (code === "gate_assurance_too_low" && data["required"] === "signed_in")
    return `Run \`npx tidebase gates open ${String(data["gateId"])}\` at a terminal and decide on the page, or use a server with a key that has the scope \`approve\`.`;
  const unknown = remote && code === "scope_missing" && data["scope"] === "approve";
  if (code === "gate_needs_human" || unknown)
    return remote
      ? "Give TIDEBASE_API_KEY a key with the scope `approve`, or run it at a terminal of the store's machine, on its database (leave TIDEBASE_URL and --url out)."
      : "Run it yourself at a terminal, with its input and output not redirected; or use the gate's page, or a server with a key that has the scope `approve`.";
  return undefined;
}
