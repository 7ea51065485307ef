import { createKey, listKeys, revokeKey, SCOPES } from "@tidebase/core";
import type { Command } from "commander";
import { type Cli, printAnswer } from "../cli.ts";
import { choices, timeFromNow, wholeNumber } from "../options.ts";
import { type Cell, seconds, table } from "../output.ts";
import type { Answer } from "../run-text.ts";
import { tell, withBackend } from "../stores.ts";

const CREATE_HELP = `
The key is printed once, alone on standard output, and kept as its hash: it cannot be shown again. The
first key closes a server that was open on loopback.

Scopes: ${SCOPES.join(", ")}.

Examples:
  $ npx tidebase keys create ci --scopes read,enqueue --expires 90d
  $ TIDEBASE_API_KEY=$(npx tidebase keys create agent --scopes read,work,enqueue)`;

interface CreateOptions {
  readonly scopes: string[];
  readonly expires?: number;
}

interface ListOptions {
  readonly limit: number;
  readonly after?: string;
}

/** `tidebase keys create|list|revoke`. */
export function addKeyCommands(keys: Command, cli: Cli): void {
  keys
    .command("create")
    .description("make an API key; this is the only time it is shown")
    .argument("<name>", "who or what will use it")
    .requiredOption("--scopes <list>", "what it may do", choices(SCOPES))
    .option(
      "--expires <time>",
      "ends after 12h, 90d, or at an instant; never unless given",
      timeFromNow,
    )
    .addHelpText("after", CREATE_HELP)
    .action(async (name: string, { scopes, expires }: CreateOptions) => {
      const input = { name, scopes, expiresInMs: expires };
      const made = await withBackend(cli, (backend) => backend.execute(createKey, input));
      await printAnswer(cli, made, ({ key }) => `${key}\n`);
      tell(cli, `${made.keyId} may ${made.scopes.join(", ")}. The key is not shown again.`);
    });
  keys
    .command("list")
    .description("the keys of the store, without the keys themselves")
    .option("--limit <n>", "at most this many, up to 200", wholeNumber, 100)
    .option("--after <keyId>", "those made after this one")
    .addHelpText("after", "\nExamples:\n  $ npx tidebase keys list")
    .action(async ({ limit, after }: ListOptions) => {
      const input = { limit, afterId: after };
      const found = await withBackend(cli, (backend) => backend.execute(listKeys, input));
      await printAnswer(cli, found, (answer) => keysText(cli, answer));
      const last = found.keys.length === limit ? found.keys.at(-1) : undefined;
      if (last !== undefined) tell(cli, `Perhaps more: add --after ${last.keyId}`);
    });
  keys
    .command("revoke")
    .description("end a key now")
    .argument("<keyId>")
    .addHelpText("after", "\nExamples:\n  $ npx tidebase keys revoke key_0190…")
    .action(async (keyId: string) => {
      const done = await withBackend(cli, (backend) => backend.execute(revokeKey, { keyId }));
      await printAnswer(cli, done, () => `Revoked at ${seconds(done.revokedAt)}.\n`);
    });
}

function keysText({ paint }: Cli, { keys }: Answer<typeof listKeys>): string {
  if (keys.length === 0) return "No keys.\n";
  const rows = keys.map((key): Cell[] => [
    key.keyId,
    key.name,
    key.scopes.join(","),
    seconds(key.createdAt),
    seconds(key.lastUsedAt),
    key.revokedAt === null ? seconds(key.expiresAt) : ["red", `revoked ${seconds(key.revokedAt)}`],
  ]);
  return table(paint, ["KEY", "NAME", "SCOPES", "CREATED", "LAST USED", "ENDS"], rows);
}
