import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFile, rm, writeFile } from "node:fs/promises";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, it } from "vitest";
import { useDatabase } from "../core/test/support/database.ts";

const ROOT = fileURLToPath(new URL("../", import.meta.url));
const SAMPLE = fileURLToPath(new URL(`readme-sample-${process.pid}.tmp.ts`, import.meta.url));
const SERVER = fileURLToPath(new URL("../http-server/src/main.ts", import.meta.url));
const FROM_SOURCE = ["--import", "tsx", "--conditions=tidebase-source"];

const database = useDatabase();
const requests: string[] = [];
const complaints: string[] = [];
const children = new Set<ChildProcess>();
const outside = createServer((request, response) => void answer(request, response));
let holdPosts = true;
let tidebaseUrl: string;
let outsideUrl: string;

/** The page, and the place where it is published, which at first takes a post and never answers. */
async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  let body = "";
  for await (const chunk of request) body += String(chunk);
  const key = request.headers["idempotency-key"];
  requests.push([request.method, key, body].filter(Boolean).join(" "));
  if (request.method === "GET" || !holdPosts) response.end("three short words");
}

function start(program: string, args: string[], env: NodeJS.ProcessEnv): ChildProcess {
  const child = spawn(process.execPath, [...FROM_SOURCE, program, ...args], {
    cwd: ROOT,
    env: { ...process.env, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  child.stderr?.on("data", (chunk) => complaints.push(String(chunk)));
  children.add(child);
  child.once("exit", () => children.delete(child));
  return child;
}

function startSample(): ChildProcess {
  return start(SAMPLE, [`${outsideUrl}/page`, `${outsideUrl}/digests`], {
    TIDEBASE_URL: tidebaseUrl,
  });
}

/** What the process prints to its end. */
async function outputOf(child: ChildProcess): Promise<string> {
  let output = "";
  child.stdout?.on("data", (chunk) => {
    output += String(chunk);
  });
  const [code] = await once(child, "close");
  expect(code, complaints.join("")).toBe(0);
  return output;
}

/** The address it says it listens on. */
async function listening(child: ChildProcess): Promise<string> {
  for await (const chunk of child.stdout ?? []) {
    const url = /http:\/\/[\w.:]+/.exec(String(chunk))?.[0];
    if (url !== undefined) return url;
  }
  throw new Error(`The server ended without listening.\n${complaints.join("")}`);
}

beforeAll(async () => {
  const readme = await readFile(new URL("../README.md", import.meta.url), "utf8");
  const sample = /^```ts\n([\s\S]*?)^```$/m.exec(readme)?.[1];
  await writeFile(SAMPLE, sample ?? "");
  await once(outside.listen(0, "127.0.0.1"), "listening");
  outsideUrl = `http://127.0.0.1:${(outside.address() as AddressInfo).port}`;
  const variables = { TIDEBASE_DATABASE_URL: database.url, TIDEBASE_URL: undefined };
  tidebaseUrl = await listening(start(SERVER, ["--port", "0"], variables));
});

afterAll(async () => {
  const ends = [...children].map((child) => once(child, "exit"));
  for (const child of children) child.kill("SIGTERM");
  outside.closeAllConnections();
  outside.close();
  await Promise.all([...ends, rm(SAMPLE, { force: true })]);
});

it("resumes the README's program after it is killed, and repeats only the step it died in", async () => {
  const first = startSample();
  await expect.poll(() => requests.length, { timeout: 15_000 }).toBe(2); // it publishes, unanswered
  const killed = once(first, "exit");
  first.kill("SIGKILL");
  await killed;
  holdPosts = false;

  expect(await outputOf(startSample())).toContain("words: 3");
  const [page, published, ...more] = requests;
  expect(page).toBe("GET");
  expect(published).toMatch(/^POST run_\S+ 3$/);
  expect(more).toEqual([published]); // the same effect under the same key, and no second GET
});

it("answers from the record when the README's program is started after its end", async () => {
  const before = requests.length;
  expect(await outputOf(startSample())).toContain("words: 3");
  expect(requests).toHaveLength(before);
});
