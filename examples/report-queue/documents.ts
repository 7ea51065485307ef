import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import type { EnqueueOptions } from "@tidebase/sdk";
import { sha256 } from "./files.ts";
import { QUEUE } from "./names.ts";

/** A file of the repository as it was when it was found. */
export interface Document {
  /** Below the root, with slashes. */
  readonly path: string;
  readonly sha256: string;
}

const KINDS = [".md", ".ts"];
const LEFT_OUT = new Set(["node_modules", "dist", "tidebase-demo"]);
const LARGEST = 256 * 1024;

/** So many Markdown and source files of the repository: the Markdown first, each by its path. */
export async function findDocuments(root: string, count: number): Promise<Document[]> {
  const paths = (await pathsBelow(root, "")).sort(byKindAndPath);
  const found: Document[] = [];
  for (const path of paths) {
    if (found.length === count) break;
    const text = await readFile(join(root, path), "utf8");
    if (text === "" || text.length > LARGEST) continue;
    found.push({ path, sha256: sha256(text) });
  }
  return found;
}

/**
 * The run of one document. Its content is part of the idempotency key, so a document that has not
 * changed is not reported again; and whatever it contains, at most one run of it is active.
 */
export function jobOf(document: Document): EnqueueOptions<Document> {
  const { path } = document;
  return {
    input: document,
    queue: QUEUE,
    idempotencyKey: `${short(path)} ${document.sha256.slice(0, 32)}`,
    dedupeKey: short(path),
    priority: /(^|\/)readme\.md$/i.test(path) ? 10 : 0,
    backoff: { minMs: "300ms", maxMs: "1s" },
    tags: ["report"],
  };
}

/** Keys have at most 200 characters; paths may have more. */
function short(path: string): string {
  return path.length <= 150 ? path : sha256(path);
}

async function pathsBelow(root: string, folder: string): Promise<string[]> {
  const entries = await readdir(join(root, folder), { withFileTypes: true });
  const paths = entries.map(async (entry) => {
    const path = folder === "" ? entry.name : `${folder}/${entry.name}`;
    if (entry.name.startsWith(".") || LEFT_OUT.has(entry.name)) return [];
    if (entry.isDirectory()) return pathsBelow(root, path);
    return entry.isFile() && KINDS.some((kind) => path.endsWith(kind)) ? [path] : [];
  });
  return (await Promise.all(paths)).flat();
}

function byKindAndPath(a: string, b: string): number {
  const kind = (path: string) => KINDS.findIndex((one) => path.endsWith(one));
  return kind(a) - kind(b) || (a < b ? -1 : 1);
}
