import { createHash } from "node:crypto";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";

/** What is sent, and to whom. */
export interface Mail {
  readonly to: string;
  readonly subject: string;
  readonly text: string;
}

/** Where mail goes: an HTTP endpoint, or else a folder that stands for one. */
export interface Post {
  readonly endpoint?: string;
  readonly outbox: string;
}

/**
 * Sends one mail and answers where it went. A mail of the same key is the same mail: the folder keeps
 * one, and an endpoint is told the key in the header `Idempotency-Key`.
 */
export function send(mail: Mail, key: string, post: Post, signal: AbortSignal): Promise<string> {
  return post.endpoint === undefined
    ? drop(mail, key, post.outbox)
    : deliver(mail, key, post.endpoint, signal);
}

async function deliver(
  mail: Mail,
  key: string,
  endpoint: string,
  signal: AbortSignal,
): Promise<string> {
  const headers = { "content-type": "application/json", "idempotency-key": key };
  const body = JSON.stringify(mail);
  const answer = await fetch(endpoint, { method: "POST", headers, body, signal });
  if (!answer.ok) throw new Error(`${endpoint} answered ${answer.status}.`);
  return endpoint;
}

async function drop(mail: Mail, key: string, outbox: string): Promise<string> {
  await mkdir(outbox, { recursive: true });
  const name = createHash("sha256").update(key).digest("hex").slice(0, 16);
  const path = join(outbox, `${name}.json`);
  const text = `${JSON.stringify(mail, null, 2)}\n`;
  try {
    await writeFile(path, text, { flag: "wx" });
  } catch (error) {
    if (!isThere(error) || (await readFile(path, "utf8")) !== text) throw error;
  }
  return path;
}

function isThere(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "EEXIST";
}
