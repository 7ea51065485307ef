import { createHash } from "node:crypto";
import { JsonText } from "../json-text.ts";

/**
 * `v1:` + SHA-256 of the canonical JSON (RFC 8785): equal for equal values, whatever the order of
 * their members.
 */
export function hash(value: unknown): string {
  return `v1:${createHash("sha256").update(canonical(value)).digest("hex")}`;
}

/** Text as it stands, or a value still to be written. */
type Piece = { readonly text: string } | { readonly value: unknown };

/**
 * RFC 8785 asks of a value what JSON.stringify already gives, and sorted members. Unlike the
 * libraries' this does not refuse a lone surrogate, which is written as its escape, and no depth.
 */
function canonical(value: unknown): string {
  const written: string[] = [];
  const left: Piece[] = [{ value }];
  for (let next = left.pop(); next !== undefined; next = left.pop()) {
    if ("text" in next) written.push(next.text);
    else if (typeof next.value === "object" && next.value !== null)
      for (const piece of pieces(next.value).reverse()) left.push(piece);
    else written.push(JSON.stringify(next.value) ?? "null");
  }
  return written.join("");
}

function pieces(container: object): Piece[] {
  if (Array.isArray(container)) {
    const items = container.flatMap((value, n) => [{ text: n === 0 ? "" : "," }, { value }]);
    return [{ text: "[" }, ...items, { text: "]" }];
  }
  const members = Object.entries(container)
    .filter(([, value]) => value !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .flatMap(([name, value], n) => [
      { text: `${n === 0 ? "" : ","}${JSON.stringify(name)}:` },
      { value },
    ]);
  return [{ text: "{" }, ...members, { text: "}" }];
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
