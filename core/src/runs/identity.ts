import { createHash } from "node:crypto";
import { JsonText } from "../json-text.ts";

/**
 * `v1:` + SHA-256 of the canonical JSON (RFC 8785): equal for equal values, whatever the order of
 * their members.
 */
export function hash(value: unknown): string {
  return `v1:${createHash("sha256").update(canonical(value)).digest("hex")}`;
}

/**
 * RFC 8785 asks of a value what JSON.stringify already gives, and sorted members. Unlike the
 * libraries' this does not refuse a lone surrogate: it is written as its escape.
 */
function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value) ?? "null";
  const members = Object.keys(value)
    .sort()
    .map((name) => [name, Reflect.get(value, name)] as const)
    .filter(([, member]) => member !== undefined);
  return `{${members.map(([name, member]) => `${JSON.stringify(name)}:${canonical(member)}`).join(",")}}`;
}

/** The names of the members in which two bodies of a creation differ. */
export function differences(
  sent: Readonly<Record<string, unknown>>,
  kept: Readonly<Record<string, unknown>>,
): string[] {
  return Object.keys(sent).filter((name) => hash(sent[name] ?? null) !== hash(plain(kept[name])));
}

function plain(value: unknown): unknown {
  return value instanceof JsonText ? JSON.parse(value.text) : (value ?? null);
}
