const SECRET_NAME = /key|token|secret|pass|pwd|auth|credential|dsn|private|(?:^|_)pat$/i;
/** Inside a value, as connection strings and URLs have them. */
const INNER_SECRET = /((?:key|token|secret|pass|passwd|password|pwd)\s{0,9}=\s{0,9})[^\s;&"']+/gi;
/** The argument that follows such an option, be it on the next line of a diff. */
const ARGUMENT =
  /(["']--?[\w-]{0,80}(?:key|token|secret|pass|pwd|auth|credential)[\w-]{0,80}["']\s*,[ +-]?\s*(?:\n[ +-]?\s*)?)(["'])(?:\\.|(?!\2)[^\\])*\2/gi;
const URL_PASSWORD = /(\b[a-z][a-z0-9+.-]{0,20}:\/\/[^\s:/@"']{0,200}:)[^\s@"']+(?=@)/gi;
/** A value behind a name: JSON's `"name": "value"` and TOML's `name = "value"`. */
const NAMED_VALUE = /(["']?)([\w.-]{1,80})\1(\s*[:=]\s*)(["'])((?:\\.|(?!\4)[^\\])*)\4/g;

/** Whether the variable's value should not be read by everybody. A `${REFERENCE}` is none. */
export function looksSecret(name: string, value: string): boolean {
  if (/^\$\{[^}]+\}$/.test(value)) return false;
  return (
    SECRET_NAME.test(name) || [URL_PASSWORD, INNER_SECRET].some((one) => value.search(one) >= 0)
  );
}

/** The text for eyes: the values of members that sound secret, and the passwords of URLs, are left out. */
export function withoutSecrets(text: string): string {
  return text
    .replaceAll(URL_PASSWORD, "$1…")
    .replaceAll(ARGUMENT, "$1$2…$2")
    .replaceAll(INNER_SECRET, "$1…")
    .replaceAll(NAMED_VALUE, (whole, quote, name, middle, mark, value) =>
      looksSecret(name, value) ? `${quote}${name}${quote}${middle}${mark}…${mark}` : whole,
    );
}
