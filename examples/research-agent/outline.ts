const WIDTH = 96;

/** A JSON value as short indented lines; what is empty is left out, what is long is cut. */
export function outline(value: unknown, indent = ""): string[] {
  if (!isObject(value)) return [cut(`${indent}${scalar(value)}`)];
  return Object.entries(value).flatMap(([name, member]) => {
    if (isEmpty(member)) return [];
    if (!isObject(member)) return [cut(`${indent}${name}: ${scalar(member)}`)];
    const inline = flat(member);
    if (inline !== undefined && `${indent}${name}: ${inline}`.length <= WIDTH)
      return [`${indent}${name}: ${inline}`];
    const below = Array.isArray(member)
      ? member.flatMap((item) => bullet(item, indent))
      : outline(member, `${indent}  `);
    return [`${indent}${name}:`, ...below];
  });
}

function bullet(item: unknown, indent: string): string[] {
  const [first = "", ...rest] = outline(item, `${indent}    `);
  return [`${indent}  - ${first.trimStart()}`, ...rest];
}

/** On one line, unless something in it has members itself. */
function flat(value: object): string | undefined {
  const members = Object.entries(value).filter(([, member]) => !isEmpty(member));
  if (members.some(([, member]) => isObject(member))) return undefined;
  if (Array.isArray(value)) return value.map(scalar).join(", ");
  return members.map(([name, member]) => `${name} ${scalar(member)}`).join(", ");
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}

function isEmpty(value: unknown): boolean {
  return value === null || value === "" || (isObject(value) && Object.keys(value).length === 0);
}

function scalar(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}

function cut(line: string): string {
  return line.length <= WIDTH ? line : `${line.slice(0, WIDTH - 1)}…`;
}
