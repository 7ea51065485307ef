import type { AnyOperation } from "@tidebase/core";

type Kind = "text" | "number" | "boolean";

/** How one field of an operation's input is read from text. */
interface Field {
  readonly list: boolean;
  readonly kind: Kind;
}

/** What a field's schema says of itself; every zod schema carries it. */
interface Definition {
  readonly type: string;
  readonly innerType?: { readonly def: Definition };
  readonly element?: { readonly def: Definition };
}

const NUMBER = /^-?\d{1,20}(?:\.\d{1,20})?$/;

/** A reader of query strings for one operation, whose schema then judges what was read. */
export type QueryReader = (url: string) => object;

/**
 * Repeated parameters become a list where the operation declares one; numbers and booleans are read
 * strictly, so that `limit=` or `limit=0x10` is refused instead of guessed at.
 */
export function queryReader({ input }: AnyOperation): QueryReader {
  const fields = new Map(
    Object.entries(input.shape).map(([name, schema]) => [
      name,
      field((schema as { def: Definition }).def),
    ]),
  );
  return (url) => {
    const start = url.indexOf("?");
    const query: Record<string, unknown> = Object.create(null);
    if (start === -1) return query;
    const sent = new URLSearchParams(url.slice(start + 1));
    for (const name of new Set(sent.keys()))
      query[name] = read(fields.get(name), sent.getAll(name));
    return query;
  };
}

function field(definition: Definition): Field {
  if (definition.innerType !== undefined) return field(definition.innerType.def);
  if (definition.element !== undefined)
    return { list: true, kind: field(definition.element.def).kind };
  const kind = definition.type;
  return { list: false, kind: kind === "number" || kind === "boolean" ? kind : "text" };
}

function read(known: Field | undefined, texts: readonly string[]): unknown {
  const values = texts.map((text) => (known === undefined ? text : value(known.kind, text)));
  return known?.list === true || values.length > 1 ? values : values[0];
}

/** What is no number stays out of reach of a coercing schema: NaN is refused by every one. */
function value(kind: Kind, text: string): unknown {
  if (kind === "number") return NUMBER.test(text) ? Number(text) : Number.NaN;
  if (kind === "boolean") return text === "true" ? true : text === "false" ? false : text;
  return text;
}
