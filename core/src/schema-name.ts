import { StoreError } from "./store/error.ts";

/** The schema's name in every statement and migration of this repository. */
export const DEFAULT_SCHEMA = "tidebase";

/**
 * Where the name stands for the schema:
 * - before a dot, as in `tidebase.runs`, unless a quote, a dot or a word stands right before it;
 * - after the word `schema`, as in `create schema if not exists tidebase`;
 * - in a quoted name that is cast, as in `'tidebase.runs'::regclass`.
 *
 * So a literal that merely begins with the name stays as it is: `'tidebase.actor'` is a setting, and
 * `'tidebase'` a channel.
 */
const SCHEMA_NAME =
  /(?<![\w$."'-])tidebase(?=\.[a-z_"])|(?<=\bschema\s+(?:if\s+(?:not\s+)?exists\s+)?)tidebase\b|(?<=')tidebase(?=\.\w+(?:\([^']*\))?'::reg)/gi;

/** The SQL for a store whose schema has another name. */
export function inSchema(sql: string, schema: string): string {
  return schema === DEFAULT_SCHEMA ? sql : sql.replace(SCHEMA_NAME, `"${checkSchema(schema)}"`);
}

/** The name itself. Throws `schema_invalid` for one that is not plain, or belongs to Postgres. */
export function checkSchema(schema: string): string {
  if (/^[a-z_][a-z0-9_]{0,62}$/.test(schema) && !schema.startsWith("pg_")) return schema;
  throw new StoreError("schema_invalid", {
    message: `${JSON.stringify(schema)} cannot be the name of Tidebase's schema.`,
    fix: "Set TIDEBASE_SCHEMA to at most 63 lower-case letters, digits and underscores that begin with no digit and not with `pg_`.",
  });
}
