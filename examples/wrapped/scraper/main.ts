import { randomUUID } from "node:crypto";
import { parseArgs } from "node:util";
import { type Run, Tidebase } from "@tidebase/sdk";
import { upload } from "../../outside/files.ts";
import { postMessage } from "../../outside/mail.ts";
import { fetchPage, type Page } from "../../outside/web.ts";

interface Scraped {
  readonly id: string;
  readonly url: string;
  readonly title: string;
  readonly words: number;
  readonly scrapedAt: string;
}

const { values } = parseArgs({
  options: {
    start: { type: "string" },
    limit: { type: "string" },
    concurrency: { type: "string" },
  },
});
const { start = "https://web.example/index" } = values;
const [limit, concurrency] = [Number(values.limit ?? 9), Number(values.concurrency ?? 3)];
if (!URL.canParse(start) || !(limit >= 1) || !(concurrency >= 1)) {
  console.error("Usage: main.ts [--start <url>] [--limit 9] [--concurrency 3]");
  process.exit(2);
}

interface Scraping {
  readonly start: string;
  readonly limit: number;
  readonly concurrency: number;
}

/** A page with its text and links, or why there is none. */
type Fetched = (Scraped & Pick<Page, "text" | "links">) | { url: string; reason: string };

function normal(url: string): string {
  const parsed = new URL(url);
  parsed.hash = "";
  return parsed.href;
}

async function fetchWithRetries(url: string): Promise<Page> {
  let pauseMs = 20;
  for (let attempt = 1; ; attempt++) {
    try {
      return await fetchPage(url);
    } catch (error) {
      if (attempt === 3) throw error;
      await new Promise((resolve) => setTimeout(resolve, pauseMs));
      pauseMs *= 2;
    }
  }
}

/** What went wrong is a result: the same in every attempt. */
async function scrape(url: string): Promise<Fetched> {
  try {
    const { title, text, links } = await fetchWithRetries(url);
    const words = text.split(/\s+/).filter((word) => word !== "").length;
    return {
      id: randomUUID(),
      url,
      title,
      words,
      text,
      links,
      scrapedAt: new Date().toISOString(),
    };
  } catch (error) {
    return { url, reason: (error as Error).message };
  }
}

async function scrapeAndKeep(run: Run<Scraping>, url: string): Promise<Fetched> {
  const fetched = await run.step("fetch", { key: url }, () => scrape(url));
  if ("reason" in fetched) return fetched;
  const name = `pages/${fetched.title}.txt`;
  const kept = { key: url, sideEffects: ["stores the page"], idempotencyKey: name };
  await run.step("store page", kept, () => upload(name, fetched.text));
  return fetched;
}

/** In waves, each in the order of its links: which pages are fetched does not depend on who was faster. */
async function scrapeAll(run: Run<Scraping>): Promise<Fetched[]> {
  const { start, limit, concurrency } = run.input;
  const fetched: Fetched[] = [];
  const seen = new Set([normal(start)]);
  for (let wave = [...seen]; wave.length > 0; ) {
    const waiting = wave.values();
    const found = new Map<string, Fetched>();
    const work = async () => {
      for (const url of waiting) found.set(url, await scrapeAndKeep(run, url));
    };
    await Promise.all(Array.from({ length: concurrency }, work));
    const inOrder = wave.flatMap((url) => found.get(url) ?? []);
    fetched.push(...inOrder);
    const links = inOrder.flatMap((page) => ("reason" in page ? [] : page.links.map(normal)));
    wave = [...new Set(links)].filter((link) => !seen.has(link)).slice(0, limit - seen.size);
    for (const link of wave) seen.add(link);
  }
  return fetched;
}

async function scraper(run: Run<Scraping>) {
  const fetched = await scrapeAll(run);
  const pages = fetched.flatMap((page) => ("reason" in page ? [] : [page]));
  const failures = fetched.flatMap((page) => ("reason" in page ? [page] : []));
  pages.sort((one, other) => one.url.localeCompare(other.url));
  const index = pages.map(({ url, title, words }) => `- [${title}](${url}), ${words} words`);
  const stored = { sideEffects: ["stores the index"], idempotencyKey: "index.md" };
  const address = await run.step("store index", stored, () => upload("index.md", index.join("\n")));
  const posted = { sideEffects: ["posts to #scraper"], idempotencyKey: `${run.runId}:message` };
  await run.step("announce", posted, ({ idempotencyKey }) =>
    postMessage("#scraper", `${pages.length} pages are in ${address}`, { idempotencyKey }),
  );
  const words = pages.reduce((sum, page) => sum + page.words, 0);
  return { pages: pages.length, words, failures, address };
}

const input = { start, limit, concurrency };
const runId = process.env["TIDEBASE_RUN_ID"];
const identity = runId ? { runId } : { idempotencyKey: `scrape:${start}:${limit}` };
const tide = new Tidebase();
try {
  const result = await tide.run("scraper", { ...identity, input }, scraper);
  console.log(JSON.stringify(result, null, 2));
  if (result.pages === 0) process.exitCode = 1;
} finally {
  await tide.close();
}
