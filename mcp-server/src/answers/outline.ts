import { z } from "zod";

/** Members of members are named, and of these nothing more is said. */
const DEPTH = 2;

interface Schema {
  readonly type?: string;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly items?: Schema;
}

/**
 * The schema of an answer as it is advertised: names and types, and one level deeper for what is in every
 * such answer. Clients load it with every tool, used or not; what the members mean, an answer says by
 * their names. An answer fits the whole schema, and so fits its outline.
 */
export function outlineOf(output: z.ZodObject): object {
  return outline(z.toJSONSchema(output, { io: "output" }) as Schema, 0);
}

function outline({ type, properties, required = [], items }: Schema, depth: number): object {
  const whole = properties !== undefined && depth < DEPTH;
  return {
    ...(type === undefined ? {} : { type }),
    ...(items === undefined ? {} : { items: outline(items, depth) }),
    ...(whole ? { properties: membersOf(properties, required, depth + 1) } : {}),
    ...(required.length > 0 && depth === 0 ? { required } : {}),
  };
}

function membersOf(
  properties: Readonly<Record<string, Schema>>,
  required: readonly string[],
  depth: number,
): Record<string, object> {
  const entries = Object.entries(properties).map(([name, schema]) => {
    const told = required.includes(name) && name !== "untrusted";
    return [name, outline(schema, told ? depth : DEPTH)];
  });
  return Object.fromEntries(entries);
}
