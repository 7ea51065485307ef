import { randomUUID } from "node:crypto";
import { parseArgs } from "node:util";
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

const queue: string[] = [normal(start)];
const seen = new Set(queue);
const pages: Scraped[] = [];
const failures: { url: string; reason: string }[] = [];

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

async function scrape(url: string): Promise<void> {
  try {
    const page = await fetchWithRetries(url);
    const words = page.text.split(/\s+/).filter((word) => word !== "").length;
    const scrapedAt = new Date().toISOString();
    pages.push({ id: randomUUID(), url, title: page.title, words, scrapedAt });
    await upload(`pages/${page.title}.txt`, page.text);
    for (const link of page.links.map(normal)) {
      if (seen.has(link)) continue;
      seen.add(link);
      queue.push(link);
    }
  } catch (error) {
    failures.push({ url, reason: (error as Error).message });
  }
}

/** Takes from the queue until it is empty and nobody can add to it any more. */
async function scrapeAll(): Promise<void> {
  const active = new Set<Promise<void>>();
  let started = 0;
  while ((queue.length > 0 && started < limit) || active.size > 0) {
    while (active.size < concurrency && started < limit) {
      const url = queue.shift();
      if (url === undefined) break;
      started += 1;
      const work = scrape(url).finally(() => active.delete(work));
      active.add(work);
    }
    await Promise.race(active);
  }
}

await scrapeAll();
pages.sort((one, other) => one.url.localeCompare(other.url));
const index = pages.map(({ url, title, words }) => `- [${title}](${url}), ${words} words`);
const address = await upload("index.md", index.join("\n"));
await postMessage("#scraper", `${pages.length} pages are in ${address}`);
const words = pages.reduce((sum, page) => sum + page.words, 0);
console.log(JSON.stringify({ pages: pages.length, words, failures, address }, null, 2));
if (pages.length === 0) process.exitCode = 1;
