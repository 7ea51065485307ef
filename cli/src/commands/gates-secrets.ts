import { type FoundStore, issueCode, linkSession, readStoreSettings } from "@tidebase/core";
import type { Command } from "commander";
import { type Answer, askFields, missingFields } from "../answer-form.ts";
import { type Cli, printAnswer } from "../cli.ts";
import { CommandError, UsageError } from "../failure.ts";
import { questionText, type ReadGate } from "../gate-text.ts";
import { atTerminal, refusePipe, withHuman } from "../human.ts";
import { jsonValue } from "../options.ts";
import { facts, plain, seconds } from "../output.ts";
import { tell } from "../stores.ts";
import {
  type AnswerOptions,
  decisionOf,
  formToFill,
  givenAnswer,
  oneMore,
  readGate,
} from "./gates-decide.ts";

const CODE_HELP = `
For a human at a terminal, never through a pipe. Whoever is given the code can decide so, once: tell it to
the agent that asks for it, as the answer to this very question. Another one makes this one void.
Where the gate has a form, the code brings the filled-in form along: who carries it adds nothing. What
the form requires and no flag gives is asked for; with --json nothing is asked.

Examples:
  $ npx tidebase gates code gate_0190… --approve
  $ npx tidebase gates code gate_0190… --approve --set amount=120`;

const OPEN_HELP = `
For a human at a terminal, never through a pipe. The link works once and signs you in on the gate's page.
Its base is --base-url, TIDEBASE_PUBLIC_URL, the server that is the store, or this machine's port 7373.

Examples:
  $ npx tidebase gates open gate_0190…
  $ npx tidebase gates open gate_0190… --base-url https://tidebase.example.com`;

const SERVER_HERE = "http://127.0.0.1:7373";

/** `tidebase gates code|open`. */
export function addGateSecretCommands(gates: Command, cli: Cli): void {
  gates
    .command("code")
    .description("a one-time code that decides one way; shown at a terminal only")
    .argument("<gateId>")
    .option("--approve", "a code that approves")
    .option("--reject", "a code that rejects")
    .option("--note <text>", "why; the code brings it along")
    .option("--answer <json>", "the filled-in form, which the code brings along", jsonValue)
    .option("--set <name=value>", "one field of the form; may be repeated", oneMore)
    .addHelpText("after", CODE_HELP)
    .action(async (gateId: string, options: AnswerOptions) => await code(cli, gateId, options));
  gates
    .command("open")
    .description("a one-time link that signs you in on the gate's page; shown at a terminal only")
    .argument("<gateId>")
    .option("--base-url <url>", "where the page is served")
    .addHelpText("after", OPEN_HELP)
    .action(
      async (gateId: string, { baseUrl }: { baseUrl?: string }) => await open(cli, gateId, baseUrl),
    );
}

async function code(cli: Cli, gateId: string, options: AnswerOptions): Promise<void> {
  const decision = decisionOf(options);
  const made = await withHuman(cli, async (backend, found) => {
    refusePipe(cli, found, "A code");
    const gate = await readGate(backend, gateId);
    const { prompt, digest, revision } = gate;
    // With the digest: the code is for the question it is shown with, or there is none.
    const given = { answer: await filledIn(cli, gate, options), note: options.note };
    const issued = await backend.execute(issueCode, { gateId, decision, digest, ...given });
    return { ...issued, gateId, prompt, digest, revision };
  });
  await printAnswer(cli, made, (issued) =>
    facts(cli.paint, [
      ["question", plain(issued.prompt)],
      ["gate", `${gateId}, revision ${issued.revision}`],
      ["digest", plain(issued.digest)],
      ["decides", `it is ${issued.decision}, once`],
      ["until", seconds(issued.expiresAt)],
      ["code", cli.paint("bold", plain(issued.code))],
    ]),
  );
}

/** The answer that the code brings along: of the flags, and of the human who is asked for the rest. */
async function filledIn(cli: Cli, gate: ReadGate, options: AnswerOptions): Promise<unknown> {
  const { terminal, paint } = cli;
  const given = givenAnswer(gate, options);
  const [form, before] = [formToFill(gate, options), (given ?? {}) as Answer];
  const asks = atTerminal(cli) && cli.flags().json !== true && gate.status === "open";
  if (!asks || form === undefined || missingFields(form, before).length === 0) return given;
  terminal.note(questionText(paint, gate).trimEnd());
  return await askFields(terminal, form, before);
}

async function open(cli: Cli, gateId: string, baseUrl: string | undefined): Promise<void> {
  if (baseUrl !== undefined) checkBase(baseUrl);
  const given = baseUrl ?? readStoreSettings(cli.env).publicUrl;
  const made = await withHuman(cli, async (backend, found) => {
    refusePipe(cli, found, "A link");
    const base = given ?? (found.kind === "remote" ? found.url : SERVER_HERE);
    const { status } = await readGate(backend, gateId);
    if (status !== "open")
      throw new CommandError("gate_already_resolved", {
        message: `The gate is ${status}.`,
        fix: `See \`npx tidebase gates show ${gateId}\`.`,
        data: { gateId, gateStatus: status },
      });
    const { token, expiresAt } = await backend.execute(linkSession, {});
    return {
      url: pageUrl(base, gateId, token),
      expiresAt,
      local: isOwn(found) && given === undefined,
    };
  });
  const { local, ...answer } = made;
  await printAnswer(cli, answer, ({ url }) => `${url}\n`);
  tell(cli, `Opens once, until ${seconds(answer.expiresAt)}: keep it to yourself.`);
  if (local) tell(cli, "The server of this store must be running there: `npx tidebase-server`.");
}

function isOwn({ kind }: FoundStore): boolean {
  return kind !== "remote";
}

function checkBase(base: string): void {
  if (/^https?:\/\//i.test(base) && URL.canParse(base)) return;
  throw new UsageError("The base of the link is no URL.", "Write it as https://host.");
}

/** The token goes behind the `#`, which browsers send to nobody. */
function pageUrl(base: string, gateId: string, token: string): string {
  const url = new URL(`gates/${gateId}`, base.endsWith("/") ? base : `${base}/`);
  return Object.assign(url, { hash: `link=${token}` }).href;
}
