import { randomInt } from "node:crypto";
import { hash } from "../runs/identity.ts";
import type { Assurance, Question, Risk } from "./schema.ts";
import { ASSURANCES } from "./schema.ts";

/** How long a code can be used, in milliseconds. */
export const CODE_MS = 600_000;
/** How long a form can be answered, in milliseconds. */
export const FORM_MS = 300_000;

const OF_RISK: Readonly<Record<Risk, Assurance>> = {
  low: "client_form",
  normal: "client_form",
  high: "code",
  critical: "signed_in",
};

/** The higher of what the author set and what the risk implies. The server's floor is added when it is asked. */
export function requiredOf({ risk, assurance }: Question): Assurance {
  const highest = Math.max(ASSURANCES.indexOf(assurance), ASSURANCES.indexOf(OF_RISK[risk]));
  return ASSURANCES[highest] ?? "signed_in";
}

/** `v1:` and SHA-256 of all that the approver relies on. */
export function digestOf(question: Question): string {
  return hash(question);
}

/** Digits and letters without those that are mistaken for others (Crockford's base32). */
const ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/** `XXXX-XXXX`: 40 random bits, which five tries do not find. */
export function newCode(): string {
  const letters = Array.from({ length: 8 }, () => ALPHABET[randomInt(32)]).join("");
  return `${letters.slice(0, 4)}-${letters.slice(4)}`;
}

/** A code as it was meant: in any case, with or without the dash, O for 0, I and L for 1. */
export function readCode(typed: string): string {
  return typed.toUpperCase().replace(/[\s-]/g, "").replaceAll("O", "0").replace(/[IL]/g, "1");
}

const WORDS = ["amber", "birch", "cedar", "delta", "ember", "fjord", "grove", "heron", "ivory"];

/** What the human types into a form, such as `amber-4711`; it is not there to be kept secret from the human's client. */
export function newPhrase(): string {
  return `${WORDS[randomInt(WORDS.length)]}-${randomInt(1000, 10_000)}`;
}

/** An approval that was given before. */
export interface Vote {
  readonly voter: string;
  readonly name: string;
  readonly assurance: Assurance;
  readonly answerHash: string;
}

/** What is asked for, as far as a decision about it depends on it. */
export interface Asked {
  readonly digest: string;
  readonly over: boolean;
  readonly required: Assurance;
  readonly approvers: readonly string[] | null;
  readonly approvals: number;
  readonly own: readonly (string | null)[];
}

/** Who decides what; `level` undefined where nothing shows a human. */
export interface Decider {
  readonly name: string;
  readonly principal: string | undefined;
  /** The key of the courier who brings a form or a token: it cannot be the run's own either. */
  readonly courier: string | undefined;
  readonly level: Assurance | undefined;
  readonly approves: boolean;
  readonly digest: string;
  readonly answerHash: string;
}

/** Whether the level is as sure as what is asked for, or surer. */
function suffices(level: Assurance, required: Assurance): boolean {
  return ASSURANCES.indexOf(level) >= ASSURANCES.indexOf(required);
}

/** Why the decision does not count, or `good` (model.md §7). */
export function rule(asked: Asked, decider: Decider, votes: readonly Vote[]) {
  const { name, principal, courier, level } = decider;
  const isOwn = (key: string | undefined) => key !== undefined && asked.own.includes(key);
  if (asked.over) return "gate_expired";
  if (asked.digest !== decider.digest) return "gate_changed";
  if (isOwn(principal) || isOwn(courier)) return "gate_own_run";
  if (level === undefined) return "gate_needs_human";
  if (!suffices(level, asked.required)) return "gate_assurance_too_low";
  if (asked.approvers?.includes(name) === false) return "gate_not_approver";
  const others = counting(asked, votes);
  const differs = others.some(({ answerHash }) => answerHash !== decider.answerHash);
  return decider.approves && differs ? "answer_differs" : "good";
}

/** The approvals that are as sure as the gate asks for by now. */
function counting({ required }: Asked, votes: readonly Vote[]): Vote[] {
  return votes.filter(({ assurance }) => suffices(assurance, required));
}

/**
 * How sure the decision is, once enough different people approved it, as its weakest approval; undefined
 * while more have to. One rejection decides.
 */
export function decided(
  asked: Asked,
  mine: Pick<Vote, "voter" | "name" | "assurance"> & { readonly approves: boolean },
  votes: readonly Vote[],
): Assurance | undefined {
  if (!mine.approves) return mine.assurance;
  const others = counting(asked, votes).filter(({ voter }) => voter !== mine.voter);
  const all = [mine, ...others];
  if (people(all) < asked.approvals) return undefined;
  const ranks = all.map(({ assurance }) => ASSURANCES.indexOf(assurance));
  return ASSURANCES[Math.min(...ranks)];
}

/**
 * How many humans these are, at the least: a name is one human, by whatever key or terminal, and a form of
 * nobody's key may have been answered by any of those who come without one.
 */
function people(votes: readonly Pick<Vote, "voter" | "name" | "assurance">[]): number {
  const isKeyed = ({ voter }: { voter: string }) => voter.startsWith("key_");
  const named = votes.filter((vote) => isKeyed(vote) || vote.assurance !== "client_form");
  const names = new Set(named.map(({ name }) => name));
  const hasForm = named.length < votes.length;
  return names.size + (hasForm && named.every(isKeyed) ? 1 : 0);
}
