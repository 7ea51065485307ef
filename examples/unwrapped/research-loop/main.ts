import { randomUUID } from "node:crypto";
import { parseArgs } from "node:util";
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

const notes: Note[] = [];

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

async function takeNotes(query: string): Promise<void> {
  const urls = await search(query);
  for (const url of urls) {
    if (notes.some((note) => note.url === url)) continue;
    const text = await read(url);
    if (text === undefined) continue;
    const note = await complete(`Note what matters here\n${url}\n${text}`);
    notes.push({ id: randomUUID(), url, text: note, takenAt: Date.now() });
  }
}

async function research(question: string) {
  const plan = await complete(`Plan queries\n${question}`);
  const queries = plan.split("\n").filter((line) => line !== "");
  for (const query of queries) await takeNotes(query);
  if (notes.length === 0) throw new Error(`Nothing was found about ${question}.`);

  const evidence = notes.map((note, index) => `[${index + 1}] ${note.text} (${note.url})`);
  let draft = await complete(`Draft a report\n${question}\n${evidence.join("\n")}`);
  let round = 0;
  while (round < rounds) {
    round += 1;
    const critique = await complete(`Criticise this draft\n${draft}`);
    if (critique === "good") break;
    console.error(`round ${round}: ${critique}`);
    draft = await complete(`Revise the draft\n${critique}\n${draft}`);
  }

  const name = `reports/${question.replaceAll(" ", "-")}.md`;
  const text = [`# ${question}`, draft, ...evidence].join("\n\n");
  const address = await upload(name, text);
  await postMessage(channel, `A report on ${question}: ${address}`);
  return { question, address, rounds: round, sources: notes.map(({ url }) => url) };
}

try {
  console.log(JSON.stringify(await research(question), null, 2));
} catch (error) {
  console.error(`The research failed: ${(error as Error).message}`);
  process.exitCode = 1;
}
