import { type Passage, sentencesOf } from "./corpus.ts";

/** A sentence that was found in a passage, to be cited as `[number]`. */
export interface Evidence {
  readonly number: number;
  readonly query: string;
  readonly sentence: string;
  readonly path: string;
  readonly firstLine: number;
  readonly lastLine: number;
}

/** What a search found for one query. */
export interface Finding {
  readonly query: string;
  readonly passages: readonly Passage[];
}

/** Answered by this repository, so the report can be checked against it. */
export const QUESTION =
  "What happens to a run when its worker is killed, who may take it over, and which steps run again?";

const QUERIES = 3;

/** Asks for search queries; `parsePlan` reads the answer. */
export function planPrompt(question: string): string {
  return `TASK: plan
Split the question into ${QUERIES} short search queries over a code repository. One query a line, nothing else.
QUESTION: ${question}`;
}

/** At least one query, at most three. */
export function parsePlan(answer: string, question: string): string[] {
  const lines = answer.split("\n").map((line) => line.replace(/^\s*([-*]|\d+[.)])\s*/, "").trim());
  const queries = [...new Set(lines.filter((line) => line !== ""))].slice(0, QUERIES);
  return queries.length > 0 ? queries : [question];
}

/** Asks for the sentences that answer a query, word for word; `parseEvidence` reads the answer. */
export function extractPrompt({ query, passages }: Finding): string {
  const numbered = passages.map(
    (passage, index) => `P${index + 1}: ${sentencesOf(passage).join(" ")}`,
  );
  return `TASK: extract
Copy the up to four sentences that best answer the query, word for word, best first.
One a line, each as "P<number>: <sentence>", nothing else.
QUERY: ${query}
PASSAGES:
${numbered.join("\n")}`;
}

/** The sentences that are really in the passage named; whatever else a model says is dropped. */
export function parseEvidence(
  answer: string,
  { query, passages }: Finding,
): Omit<Evidence, "number">[] {
  return answer.split("\n").flatMap((line) => {
    const [, number, sentence = ""] = /^\s*P(\d+):\s*(.+?)\s*$/.exec(line) ?? [];
    const passage = passages[Number(number) - 1];
    if (passage === undefined || !sentencesOf(passage).includes(sentence)) return [];
    const { path, firstLine, lastLine } = passage;
    return [{ query, sentence, path, firstLine, lastLine }];
  });
}

/** Asks for the report's body in Markdown, citing the evidence as [number]. */
export function draftPrompt(question: string, evidence: readonly Evidence[]): string {
  const queries = [...new Set(evidence.map(({ query }) => query))];
  const listed = queries.map(
    (query) =>
      `ABOUT: ${query}\n${evidence
        .filter((item) => item.query === query)
        .map(({ number, sentence }) => `[${number}] ${sentence}`)
        .join("\n")}`,
  );
  return `TASK: draft
Answer the question in Markdown from this evidence alone, one section for each ABOUT. Cite every
claim as [number]. No title, no list of sources.
QUESTION: ${question}
EVIDENCE:
${listed.join("\n")}`;
}

/** The whole report, with its sources. */
export function composeReport(
  question: string,
  body: string,
  evidence: readonly Evidence[],
): string {
  const cited = evidence.filter(({ number }) => body.includes(`[${number}]`));
  const sources = cited.map(
    ({ number, path, firstLine, lastLine }) => `${number}. \`${path}:${firstLine}-${lastLine}\``,
  );
  return `# ${question}\n\n${body.trim()}\n\n## Sources\n\n${sources.join("\n")}\n`;
}
