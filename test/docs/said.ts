import { at, type Page } from "./pages.ts";
import { commandsOf } from "./walk.ts";

/** Something that a page says, and where. */
export interface Said {
  readonly line: number;
  readonly text: string;
}

/** Code in the prose of a page: what stands between backticks. */
export const spansOf = ({ lines }: Page): Said[] =>
  lines.flatMap(({ number, text }) =>
    [...text.matchAll(/`([^`]+)`/g)].map(([, code = ""]) => ({ line: number, text: code })),
  );

/** The lines of a page that a shell reads. */
export function shellLines({ blocks }: Page): Said[] {
  const shell = blocks.filter(({ language }) => language === "sh").flatMap(commandsOf);
  return shell.map(({ line, command }) => ({ line, text: command }));
}

/** What the judge finds wrong, each with its place. */
export const faults = (
  page: Page,
  said: readonly Said[],
  judge: (text: string) => string[],
): string[] =>
  said.flatMap(({ line, text }) => judge(text).map((fault) => `${at(page.path, line)}: ${fault}`));
