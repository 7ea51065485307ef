/**
 * Characters that are not seen, or that make others seem to be what they are not: controls, formats
 * (bidi, zero width, tags), private, unassigned and lone surrogates, separators, blank letters and
 * variation selectors. By the general categories of Unicode, UAX #44.
 */
const HIDDEN =
  /[\p{Cc}\p{Cf}\p{Co}\p{Cn}\p{Cs}\p{Zl}\p{Zp}\u2800]|\p{Default_Ignorable_Code_Point}/gu;

/** The text with each hidden character, line feed and tab among them, as `write` writes it. */
export function escapeHidden(text: string, write: (character: string) => string): string {
  return text.replace(HIDDEN, (character) => write(character));
}

/**
 * What others wrote, as a human may see it: hidden characters as `\u{…}`, line feeds and tabs as they
 * are. Not yet safe as HTML.
 */
export function visible(text: string): string {
  return escapeHidden(text, (one) => (one === "\n" || one === "\t" ? one : codePoint(one)));
}

/** The same on one line: line feeds and tabs as `\n` and `\t`. */
export function visibleLine(text: string): string {
  return escapeHidden(text, (one) =>
    one === "\n" ? "\\n" : one === "\t" ? "\\t" : codePoint(one),
  );
}

function codePoint(character: string): string {
  return `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`;
}
