import { randomUUID } from "node:crypto";
import { parseArgs } from "node:util";
import { type Run, Tidebase } from "@tidebase/sdk";
import { upload } from "../../outside/files.ts";
import { postMessage } from "../../outside/mail.ts";
import { complete } from "../../outside/model.ts";
import { fetchPage, search } from "../../outside/web.ts";

interface Note {
  readonly id: string;
  readonly url: string;
  readonly text: string;
  readonly takenAt: number;
}

const { values } = parseArgs({
  options: {
    question: { type: "string" },
    rounds: { type: "string" },
    channel: { type: "string" },
  },
});
const { question = "resuming agents", channel = "#research" } = values;
const rounds = Number(values.rounds ?? 3);
if (!Number.isInteger(rounds) || rounds < 1) {
  console.error("--rounds must be a whole number of at least 1.");
  process.exit(2);
}

interface Research {
  readonly question: string;
  readonly rounds: number;
  readonly channel: string;
}

async function read(url: string): Promise<string | undefined> {
  for (let attempt = 1; attempt <= 3; attempt++) {
    try {
      return (await fetchPage(url)).text;
    } catch (error) {
      console.error(`attempt ${attempt} at ${url}: ${(error as Error).message}`);
    }
  }
  return undefined;
}

async function takeNotes(run: Run<Research>, query: string, seen: Set<string>): Promise<Note[]> {
  const notes: Note[] = [];
  const urls = await run.step("search", { key: query }, () => search(query));
  for (const url of urls) {
    if (seen.has(url)) continue;
    seen.add(url); // also when it cannot be read: a step is asked for once
    const page = await run.step("read", { key: url }, () => read(url));
    if (page === undefined) continue;
    const note = await run.step("take note", { key: url }, async () => {
      const text = await complete(`Note what matters here\n${url}\n${page}`);
      return { id: randomUUID(), url, text, takenAt: Date.now() };
    });
    notes.push(note);
  }
  return notes;
}

async function research(run: Run<Research>) {
  const { question, rounds, channel } = run.input;
  const plan = await run.step("plan", () => complete(`Plan queries\n${question}`));
  const queries = new Set(plan.split("\n").filter((line) => line !== ""));
  const seen = new Set<string>();
  const notes: Note[] = [];
  for (const query of queries) notes.push(...(await takeNotes(run, query, seen)));
  if (notes.length === 0) throw new Error(`Nothing was found about ${question}.`);

  const evidence = notes.map((note, index) => `[${index + 1}] ${note.text} (${note.url})`);
  let draft = await run.step("draft", () =>
    complete(`Draft a report\n${question}\n${evidence.join("\n")}`),
  );
  let round = 0;
  while (round < rounds) {
    round += 1;
    const key = `round ${round}`;
    const before = draft;
    const critique = await run.step("criticise", { key }, () =>
      complete(`Criticise this draft\n${before}`),
    );
    if (critique === "good") break;
    console.error(`round ${round}: ${critique}`);
    draft = await run.step("revise", { key }, () =>
      complete(`Revise the draft\n${critique}\n${before}`),
    );
  }

  const name = `reports/${question.replaceAll(" ", "-")}.md`;
  const text = [`# ${question}`, draft, ...evidence].join("\n\n");
  // The same text under the same name changes nothing.
  const stored = { sideEffects: ["stores the report"], idempotencyKey: name };
  const address = await run.step("upload", stored, () => upload(name, text));
  const posted = { sideEffects: ["posts to the channel"], idempotencyKey: `${run.runId}:message` };
  await run.step("announce", posted, ({ idempotencyKey }) =>
    postMessage(channel, `A report on ${question}: ${address}`, { idempotencyKey }),
  );
  return { question, address, rounds: round, sources: notes.map(({ url }) => url) };
}

const runId = process.env["TIDEBASE_RUN_ID"];
const identity = runId ? { runId } : { idempotencyKey: `research:${question}` };
const tide = new Tidebase();
try {
  const input = { question, rounds, channel };
  const result = await tide.run("research", { ...identity, input }, research);
  console.log(JSON.stringify(result, null, 2));
} catch (error) {
  console.error(`The research failed: ${(error as Error).message}`);
  process.exitCode = 1;
} finally {
  await tide.close();
}
