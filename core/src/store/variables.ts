import { StoreError } from "./error.ts";

/** `process.env`, handed in by a main.ts. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** The beginning of a URL that node-postgres understands. */
export const POSTGRES = /^postgres(ql)?:\/\//i;

/**
 * Throws for a variable that is set to nothing, or to the name of another that nobody filled in: what
 * was meant is unknown, and opening another store instead would lose it.
 */
export function checkVariable(name: string, value: string | undefined): void {
  if (value === undefined) return;
  if (value.trim() === "")
    throw new StoreError("variable_empty", {
      message: `${name} is set, but empty.`,
      fix: `Give ${name} a value, or unset it.`,
    });
  checkExpanded(name, value);
}

/** Throws `variable_unexpanded` for a literal `${NAME}`; shows nothing else of the value. */
export function checkExpanded(name: string, value: string): void {
  const literal = /\$\{[^}]*\}/.exec(value)?.[0];
  if (literal === undefined) return;
  throw new StoreError("variable_unexpanded", {
    message: `${name} holds the literal text ${literal}: whatever started this program did not fill it in.`,
    fix: `Write the value itself, or set the variable ${literal} names where this program's configuration is read.`,
  });
}

/** Throws `variable_invalid` unless the value is a URL that begins so; never shows it. */
export function checkUrl(name: string, value: string, beginning: RegExp): void {
  if (beginning.test(value) && URL.canParse(value)) return;
  const example = beginning === POSTGRES ? "postgres://user@host:5432/database" : "https://host";
  throw new StoreError("variable_invalid", {
    message: `${name} is not such a URL as ${example}.`,
    fix: `Correct ${name}; special characters of a password are written as %40 and the like.`,
  });
}

/** Whether TIDEBASE_AUTO_MIGRATE lets programs bring the schema up to date; unset, it does. */
export function mayMigrate(value: string | undefined): boolean {
  if (value === undefined || value === "1" || value === "true") return true;
  if (value === "0" || value === "false") return false;
  throw new StoreError("variable_invalid", {
    message: `TIDEBASE_AUTO_MIGRATE is ${JSON.stringify(value)}.`,
    fix: "Set it to 0 or 1, or unset it.",
  });
}

/** Whether the URL's server is this machine: the loopback, or a socket. */
export function isLocal(databaseUrl: string): boolean {
  if (!URL.canParse(databaseUrl)) return false;
  const { hostname, searchParams } = new URL(databaseUrl);
  const host = searchParams.get("host") ?? decodeURIComponent(hostname);
  return /^(|\/.*|localhost|127(\.\d+){3}|\[::1\]|::1)$/i.test(host);
}
