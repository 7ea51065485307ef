import { type AnswerSchema, type Backend, getGate, resolveGate } from "@tidebase/core";
import type { Command } from "commander";
import { answerOf, askFields, type Answer as FormAnswer, notDecided } from "../answer-form.ts";
import { type Cli, printAnswer } from "../cli.ts";
import { UsageError } from "../failure.ts";
import { decidedText, questionText, type ReadGate } from "../gate-text.ts";
import { atTerminal, withHuman } from "../human.ts";
import { jsonValue } from "../options.ts";
import { type Answer, asRead } from "../run-text.ts";

const HELP = `
For a human at a terminal: shows the question, asks for what its form requires, and then for a word. With
its input or output redirected it is refused, unless the store is a server and TIDEBASE_API_KEY a key
with the scope approve. The decision is for ever.

Examples:
  $ npx tidebase gates decide gate_0190… --approve
  $ npx tidebase gates decide gate_0190… --approve --set amount=120 --note "as agreed"
  $ npx tidebase gates decide gate_0190… --reject --note "the figures are of March"`;

/** Which way a gate is to be decided. */
interface Direction {
  readonly approve?: boolean;
  readonly reject?: boolean;
}

/** A decision with what belongs to it. */
export interface AnswerOptions extends Direction {
  readonly note?: string;
  readonly answer?: { readonly value: unknown };
  readonly set?: string[];
}

interface DecideOptions extends AnswerOptions {
  readonly digest?: string;
  readonly yes?: boolean;
}

/** `tidebase gates decide`. */
export function addDecideCommand(gates: Command, cli: Cli): void {
  gates
    .command("decide")
    .description("approve or reject, once and for ever")
    .argument("<gateId>")
    .option("--approve", "approve it")
    .option("--reject", "reject it")
    .option("--note <text>", "why; kept with the decision")
    .option("--answer <json>", "the filled-in form", jsonValue)
    .option("--set <name=value>", "one field of the form; may be repeated", oneMore)
    .option("--digest <digest>", "only if the question is still the one that `gates show` told")
    .option("--yes", "do not ask for the word")
    .addHelpText("after", HELP)
    .action(async (gateId: string, options: DecideOptions) => await decide(cli, gateId, options));
}

/** For an option that may be repeated. */
export function oneMore(value: string, before: string[] = []): string[] {
  return [...before, value];
}

/** The decision that the flags name. */
export function decisionOf({ approve, reject }: Direction): "approved" | "rejected" {
  if ((approve === true) === (reject === true))
    throw new UsageError("The decision is missing, or given twice.", "Give --approve or --reject.");
  return approve === true ? "approved" : "rejected";
}

async function decide(cli: Cli, gateId: string, options: DecideOptions): Promise<void> {
  const decision = decisionOf(options);
  const asks = atTerminal(cli) && cli.flags().json !== true;
  if (atTerminal(cli) && !asks && options.yes !== true)
    throw new UsageError("The decision is for ever, and --json never asks.", "Add --yes.");
  const done = await withHuman(cli, async (backend) => {
    const gate = await readGate(backend, gateId);
    const { digest = gate.digest, note } = options;
    const given = givenAnswer(gate, options);
    const open = gate.status === "open" && digest === gate.digest;
    const answer = asks && open ? await ask(cli, gate, options, given) : given;
    return await backend.execute(resolveGate, { gateId, decision, digest, answer, note });
  });
  await printAnswer(cli, done, (answer) => decidedText(cli.paint, asRead(answer).gate));
}

/** The gate as it is shown. */
export async function readGate(backend: Backend, gateId: string): Promise<ReadGate> {
  const found: Answer<typeof getGate> = await backend.execute(getGate, { gateId });
  return asRead(found).gate;
}

/** The answer that the flags give. */
export function givenAnswer({ answerSchema }: ReadGate, { answer, set }: AnswerOptions): unknown {
  if (answer !== undefined && set !== undefined)
    throw new UsageError("--answer and --set both give the answer.", "Give one of them.");
  if (answer !== undefined) return answer.value;
  return set === undefined ? undefined : answerOf(answerSchema as AnswerSchema | null, set);
}

/** The form that an approval fills in, unless the flags give the whole answer. */
export function formToFill(
  { answerSchema }: ReadGate,
  { approve, answer }: AnswerOptions,
): AnswerSchema | undefined {
  if (approve !== true || answer !== undefined || answerSchema === null) return undefined;
  return answerSchema as AnswerSchema;
}

/** Shows the question, has the form filled in and the decision confirmed; comes back with the answer. */
async function ask(
  cli: Cli,
  gate: ReadGate,
  options: DecideOptions,
  given: unknown,
): Promise<unknown> {
  const { terminal, paint } = cli;
  const { approve, yes } = options;
  terminal.note(questionText(paint, gate).trimEnd());
  const form = formToFill(gate, options);
  const filled =
    form === undefined ? given : await askFields(terminal, form, (given ?? {}) as FormAnswer);
  if (yes === true) return filled;
  const word = approve === true ? "approve" : "reject";
  const typed = await terminal.ask(`Type "${word}" to ${word} it, for ever: `);
  if (typed !== word) throw notDecided(`"${word}" was not typed.`);
  return filled;
}
