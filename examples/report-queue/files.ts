import { createHash } from "node:crypto";
import { mkdir, rename, writeFile } from "node:fs/promises";
import { dirname, posix } from "node:path";

/** Where the report of a document is, below the output folder. */
export function reportPath(path: string): string {
  return posix.join("reports", `${path}.json`);
}

/** Where the index of a folder is. */
export function indexPath(folder: string): string {
  return posix.join("indexes", `${folder}.md`);
}

/** The whole file or nothing, and the same however often: an effect that may be repeated. */
export async function write(path: string, text: string): Promise<void> {
  const draft = `${path}.${process.pid}.tmp`;
  await mkdir(dirname(path), { recursive: true });
  await writeFile(draft, text);
  await rename(draft, path);
}

/** SHA-256 of a text, in hexadecimal. */
export function sha256(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}
