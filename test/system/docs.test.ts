import { afterAll, beforeAll, expect, it } from "vitest";
import { executedPages, type Page, parsePage } from "../docs/pages.ts";
import { makeStore } from "../docs/store.ts";
import { walk } from "../docs/walk.ts";
import { makeWorkspace, type Workspace } from "../docs/workspace.ts";

/** Pages at once: one waits while the other computes. */
const AT_ONCE = 2;

const pages = new Map(executedPages().map((page) => [page.path, page]));
const waiting: (() => void)[] = [];
let places = AT_ONCE;
let workspace: Workspace;

beforeAll(async () => {
  workspace = await makeWorkspace();
});
afterAll(() => workspace?.remove());

async function inTurn(work: () => Promise<void>): Promise<void> {
  if (places === 0) await new Promise<void>((resolve) => waiting.push(resolve));
  else places--;
  try {
    await work();
  } finally {
    const next = waiting.shift();
    if (next === undefined) places++;
    else next();
  }
}

async function follow(page: Page): Promise<void> {
  const store = await makeStore();
  await walk(page, workspace, store.url).finally(store.drop);
}

it("finds guides to execute", () => {
  expect([...pages.keys()]).toContain("docs/quickstart.md");
});

it.concurrent.each([...pages.keys()])("does what %s says, line by line", async (path) => {
  const page = pages.get(path);
  if (page === undefined) throw new Error(`No page ${path}.`);
  await inTurn(() => follow(page));
});

it.each([
  ["echo one", "```sh\necho one\n```\n\n```text\ntwo\n```\n", 'broken.md:5: no line "two"'],
  ["a failure", "```sh\ntrue\nls nowhere\n```\n", "broken.md:3: ls nowhere\nended with 2"],
  ["a success", "```sh fails\ntrue\n```\n", "broken.md:2: true\nended with 0"],
  ["npm", "```sh\nnpm install pg\n```\n", "broken.md:2: npm install pg\nended with 1"],
  ["SQL", "```sql\nselect nothing from nowhere;\n```\n", "broken.md:1: error: "],
])("knows by page and line what is not true: %s", async (_, text, complaint) => {
  await expect(follow(parsePage("broken.md", text))).rejects.toThrow(complaint);
});
