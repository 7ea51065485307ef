const WIDTH = 96;

/** A JSON value as short indented lines; what is empty is left out. */
export function outline(value: unknown, indent = ""): string[] {
  if (!isObject(value)) return wrap(`${indent}${scalar(value)}`, `${indent}  `);
  return Object.entries(value).flatMap(([name, member]) => {
    if (isEmpty(member)) return [];
    if (!isObject(member)) return wrap(`${indent}${name}: ${scalar(member)}`, `${indent}  `);
    const inline = flat(member);
    if (inline !== undefined) return wrap(`${indent}${name}: ${inline}`, `${indent}  `);
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
  if (Array.isArray(value)) return value.map(word).join(" ");
  return members.map(([name, member]) => `${name} ${scalar(member)}`).join(", ");
}

/** In quotes when it could be taken for several. */
function word(value: unknown): string {
  const text = scalar(value);
  return text.includes(" ") ? JSON.stringify(text) : text;
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

/** Broken at spaces, so that it fits a common terminal. */
function wrap(text: string, indent: string): string[] {
  if (text.length <= WIDTH) return [text];
  const space = text.lastIndexOf(" ", WIDTH);
  if (space <= indent.length) return [text];
  return [text.slice(0, space), ...wrap(indent + text.slice(space + 1), indent)];
}
