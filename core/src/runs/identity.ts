import { createHash } from "node:crypto";
import { JsonText, tooDeep } from "../json-text.ts";

/**
 * `v1:` + SHA-256 of the canonical JSON (RFC 8785): equal for equal values, whatever the order of
 * their members. Throws `input_invalid` for what is nested too deeply to be written.
 */
export function hash(value: unknown): string {
  try {
    return `v1:${createHash("sha256").update(canonical(value)).digest("hex")}`;
  } catch (cause) {
    throw tooDeep(cause);
  }
}

/**
 * RFC 8785 asks of a value what JSON.stringify already gives, and sorted members. Unlike the
 * libraries' this does not refuse a lone surrogate, which is written as its escape.
 */
function canonical(value: unknown): string {
  if (typeof value !== "object" || value === null) return JSON.stringify(value) ?? "null";
  const written: string[] = []; // by loops: a callback for each level would need the stack thrice
  if (Array.isArray(value)) {
    for (const item of value) written.push(canonical(item));
    return `[${written.join(",")}]`;
  }
  for (const name of Object.keys(value).sort()) {
    const member: unknown = Reflect.get(value, name);
    if (member !== undefined) written.push(`${JSON.stringify(name)}:${canonical(member)}`);
  }
  return `{${written.join(",")}}`;
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
