import { randomBytes } from "node:crypto";
import { holding } from "../../core/test/support/owned.ts";

/** Something that was put in, and may come out in few places. */
export interface Canary {
  readonly kind: "payload" | Secret;
  /** Which field, or what made it. */
  readonly name: string;
  readonly text: string;
}

/** What opens something to whoever has it. */
type Secret =
  | "key"
  | "webhook secret"
  | "one-time code"
  | "form phrase"
  | "resolve token"
  | "link token"
  | "session cookie"
  | "database password";

/** What was said somewhere. */
export interface Said {
  readonly place: string;
  readonly text: string;
}

/** The one column that keeps a secret as it is, to sign with (docs/reference). */
const PLAIN: Partial<Record<Secret, readonly string[]>> = {
  "webhook secret": ["webhooks.secret", "webhooks.previous_secret"],
};

/** Where a message carries what a human decides with: to a webhook that may, and nowhere else. */
const TO_A_CHANNEL: readonly Canary["kind"][] = ["one-time code", "resolve token"];
/** The place that those messages are told as. */
export const CHANNEL = "the channel's message";

/** All that was put in. */
export class Canaries {
  readonly all: Canary[] = [];

  /** A new word for a field that takes text. */
  word(name: string): string {
    const text = `pay-${name}-${randomBytes(6).toString("hex")}`;
    this.all.push({ kind: "payload", name, text });
    return text;
  }

  /** Remembers what the server made, or was given, to keep. */
  secret(kind: Secret, name: string, text: unknown): string {
    if (typeof text !== "string" || text.length < 8) throw new Error(`No ${kind} of ${name}.`);
    this.all.push({ kind, name, text });
    return text;
  }

  get secrets(): readonly Canary[] {
    return this.all.filter(({ kind }) => kind !== "payload");
  }
}

/** Secrets in places where nobody may find them. What made a secret tells it once, and is not among `said`. */
export function leaked({ secrets }: Canaries, said: readonly Said[]): string[] {
  return secrets.flatMap(({ kind, name, text }) =>
    said.flatMap((one) => {
      if (!one.text.includes(text)) return [];
      if (one.place === CHANNEL && TO_A_CHANNEL.includes(kind)) return [];
      return [`The ${kind} of ${name} is in ${one.place}.`];
    }),
  );
}

/** Secrets in rows other than the one that has to keep them. */
export async function leakedRows(
  { secrets }: Canaries,
  pool: Parameters<typeof holding>[0],
): Promise<string[]> {
  const problems: string[] = [];
  for (const { kind, name, text } of secrets) {
    const allowed = kind === "payload" ? [] : (PLAIN[kind] ?? []);
    const places = (await holding(pool, text)).filter((place) => !allowed.includes(place));
    if (places.length > 0) problems.push(`The ${kind} of ${name} is in ${places.join(", ")}.`);
  }
  return problems;
}

/** Anything that was put in, in a log: there neither a secret nor a payload has a place. */
export function logged({ all }: Canaries, holdingLine: (text: string) => string[]): string[] {
  return all.flatMap(({ kind, name, text }) => {
    const [line] = holdingLine(text);
    return line === undefined
      ? []
      : [`The ${kind} of ${name} is in the log: ${line.slice(0, 300)}`];
  });
}

/** Payloads that nobody ever found again: the words of a field that was never kept would prove nothing. */
export async function unkept(
  { all }: Canaries,
  pool: Parameters<typeof holding>[0],
): Promise<string[]> {
  const lost: string[] = [];
  for (const { kind, name, text } of all)
    if (
      kind === "payload" &&
      !name.startsWith("passing") &&
      (await holding(pool, text)).length === 0
    )
      lost.push(name);
  return lost;
}
