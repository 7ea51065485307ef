import { rank, termsOf } from "./ranking.ts";

const BEST = 4;
const ALIKE = 40;

/**
 * Stands in for a language model: the same prompt in, text out, but by plain rules, so that the demo
 * needs no key and gives the same answer every time. It knows the three tasks of `prompts.ts`.
 */
export async function completeLocally(prompt: string): Promise<string> {
  const task = /^TASK: (\w+)/.exec(prompt)?.[1];
  if (task === "plan") return plan(field(prompt, "QUESTION"));
  if (task === "extract") return extract(field(prompt, "QUERY"), after(prompt, "PASSAGES:\n"));
  if (task === "draft") return draft(after(prompt, "EVIDENCE:\n"));
  throw new Error(`The local model does not know the task ${task}.`);
}

/** The parts of the question; one that says little by itself is given the words of the first. */
function plan(question: string): string {
  const parts = question
    .split(/\?|[,;]\s*(?:and\s+)?|\s+and\s+/)
    .map((part) => part.trim())
    .filter((part) => termsOf(part).length > 0);
  const subject = parts[0] ?? question;
  const queries = parts.map((part) => (termsOf(part).length < 2 ? `${part}, ${subject}` : part));
  return [...queries, `${subject}: the rule`, `${subject}: in code`].slice(0, 3).join("\n");
}

/** Every passage is one line, `P<number>: <sentences>`. */
function extract(query: string, passages: string): string {
  const sentences = passages.split("\n").flatMap((line) => {
    const [, label = "", text = ""] = /^(P\d+): (.*)$/.exec(line) ?? [];
    return text
      .split(/(?<=[.!?])\s+(?=[A-Z`*"])/)
      .filter((sentence) => sentence.length >= 40 && !sentence.endsWith("?"))
      .map((sentence) => ({ label, sentence }));
  });
  const chosen: typeof sentences = [];
  for (const { item } of rank(query, sentences, ({ sentence }) => sentence))
    if (!chosen.some((other) => isRepeated(item.sentence, other.sentence))) chosen.push(item);
  const best = chosen.slice(0, BEST);
  return best.map(({ label, sentence }) => `${label}: ${sentence}`).join("\n");
}

/** Whether both begin alike: comments are often copied from a page, or the other way round. */
function isRepeated(one: string, other: string): boolean {
  return one.slice(0, ALIKE) === other.slice(0, ALIKE);
}

function draft(evidence: string): string {
  const sections = evidence.split(/^ABOUT: /m).filter((section) => section !== "");
  return sections
    .map((section) => {
      const [heading = "", ...lines] = section.trim().split("\n");
      const claims = lines.map((line) => line.replace(/^(\[\d+\]) (.*)$/, "- $2 $1"));
      return `## ${heading.charAt(0).toUpperCase()}${heading.slice(1)}\n\n${claims.join("\n")}`;
    })
    .join("\n\n");
}

function field(prompt: string, name: string): string {
  return new RegExp(`^${name}: (.*)$`, "m").exec(prompt)?.[1]?.trim() ?? "";
}

function after(prompt: string, marker: string): string {
  return prompt.slice(prompt.indexOf(marker) + marker.length);
}
