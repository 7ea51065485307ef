import { visible } from "@tidebase/core";

/** What others wrote, visible and in one line of at most `max` characters, for lists and terminals. */
export function shownInLine(text: string, max: number): string {
  const line = visible(text.replace(/\s+/g, " ").trim());
  return line.length <= max ? line : `${line.slice(0, max - 1).replace(/[\ud800-\udbff]$/, "")}…`;
}

/** Indenting what is nested more deeply would make a page of many times the data's size. */
const INDENTED_DEPTH = 12;

/** JSON text in lines, all of it. */
export function shownJson(text: string): string {
  return visible(depthOf(text) > INDENTED_DEPTH ? text : JSON.stringify(JSON.parse(text), null, 2));
}

function depthOf(text: string): number {
  let [depth, deepest, quoted] = [0, 0, false];
  for (let i = 0; i < text.length; i++) {
    const mark = text[i];
    if (mark === '"') quoted = !quoted;
    else if (quoted && mark === "\\") i++;
    else if (quoted) continue;
    else if (mark === "[" || mark === "{") deepest = Math.max(deepest, ++depth);
    else if (mark === "]" || mark === "}") depth--;
  }
  return deepest;
}
