const SECRET_NAME = /key|token|secret|passw|auth|credential/i;
const URL_PASSWORD = /(\b[a-z][a-z0-9+.-]{0,20}:\/\/[^\s:/@"']{0,200}:)[^\s@"']+(?=@)/gi;
/** A value behind a name: JSON's `"name": "value"` and TOML's `name = "value"`. */
const NAMED_VALUE = /(["']?)([\w.-]{1,80})\1(\s*[:=]\s*)(["'])((?:\\.|(?!\4)[^\\])*)\4/g;

/** Whether the variable's value should not be read by everybody. A `${REFERENCE}` is none. */
export function looksSecret(name: string, value: string): boolean {
  if (/^\$\{[^}]+\}$/.test(value)) return false;
  return SECRET_NAME.test(name) || value.replace(URL_PASSWORD, "") !== value;
}

/** The text for eyes: the values of members that sound secret, and the passwords of URLs, are left out. */
export function withoutSecrets(text: string): string {
  return text
    .replaceAll(URL_PASSWORD, "$1…")
    .replaceAll(NAMED_VALUE, (whole, quote, name, middle, mark, value) =>
      looksSecret(name, value) ? `${quote}${name}${quote}${middle}${mark}…${mark}` : whole,
    );
}
