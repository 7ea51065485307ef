import type { Block, Page } from "./pages.ts";
import { at } from "./pages.ts";

const FILE = /^[\w.-]+(\/[\w.-]+)*\.[a-z]+$/;
const SHELL = ["", "background", "fails", "install", "terminal"];
/** Shown and neither run nor checked: nothing of ours reads them. */
const SHOWN = ["http", "toml", "yaml", "ini", "dockerfile", "diff", "md", "python", "nginx"];

const INSTALLS = /^\s*(npm|pnpm|yarn|npx npm) (i|install|ci|init|add|create|exec)\b/m;

/** What may follow the language of a block. */
const WORDS: Readonly<Record<string, (word: string) => boolean>> = {
  ts: (word) => word === "" || (FILE.test(word) && /\.m?tsx?$/.test(word)),
  js: (word) => word === "" || (FILE.test(word) && /\.m?js$/.test(word)),
  sh: (word) => SHELL.includes(word),
  json: (word) => word === "" || word === "install" || FILE.test(word),
  sql: (word) => word === "",
  text: (word) => word === "",
  ...Object.fromEntries(SHOWN.map((language) => [language, () => true])),
};

/** What is wrong with the fences of the page: no language, one that nobody knows, a word that nobody knows. */
export function fenceFaults({ blocks }: Page): string[] {
  return blocks.flatMap((block) => {
    const fault = faultOf(block);
    return fault === undefined ? [] : [`${at(block.page, block.line)}: ${fault}`];
  });
}

function faultOf({ language, word, text }: Block): string | undefined {
  if (language === "") return "a block names its language, such as ```ts or ```text.";
  const fits = WORDS[language];
  if (fits === undefined)
    return `a block of "${language}": known are ${Object.keys(WORDS).join(", ")}.`;
  if (!fits(word)) return `"${word}" says nothing about a block of ${language}.`;
  if (language === "sh" && word !== "install" && INSTALLS.test(text))
    return "what installs packages is ```sh install.";
  return language === "json" ? jsonFault(text) : undefined;
}

function jsonFault(text: string): string | undefined {
  try {
    JSON.parse(text);
    return undefined;
  } catch (error) {
    return `this is no JSON: ${String(error)}`;
  }
}
