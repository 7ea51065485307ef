import { delay, hash } from "./effects.ts";

export interface Page {
  readonly url: string;
  readonly title: string;
  readonly text: string;
  readonly links: readonly string[];
}

const TOPICS = [
  "leases",
  "fencing",
  "retries",
  "idempotency",
  "outbox",
  "sagas",
  "clocks",
  "queues",
];
const refused = new Set<string>();

/** A page of a small web in which every page links to three others. Every fourth is overloaded when first asked. */
export async function fetchPage(url: string, signal?: AbortSignal): Promise<Page> {
  await delay(url, signal);
  const topic = new URL(url).pathname.slice(1) || "index";
  if (hash(url) % 4 === 0 && !refused.has(url)) {
    refused.add(url);
    throw new Error(`503 from ${url}`);
  }
  const links = [1, 3, 4].map((far) => TOPICS[(hash(topic) + far) % TOPICS.length]);
  const text = `${topic} is about what happens when a process dies. `.repeat(1 + (hash(topic) % 5));
  return {
    url,
    title: `On ${topic}`,
    text,
    links: links.map((link) => `https://web.example/${link}#top`),
  };
}

/** Addresses of pages for the query, the best first. */
export async function search(query: string, signal?: AbortSignal): Promise<string[]> {
  await delay(query, signal);
  const found = [0, 2].map((far) => TOPICS[(hash(query) + far) % TOPICS.length]);
  return found.map((topic) => `https://web.example/${topic}`);
}
