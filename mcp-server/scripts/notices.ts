import { readdir, readFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import type { Metafile } from "esbuild";

interface Package {
  readonly name: string;
  readonly version: string;
  readonly license?: string;
}

const FOLDER = /^(.*node_modules\/(?:@[^/]+\/)?[^/]+)\//;

/**
 * The licences of the packages that the bundle holds, which ask to be passed on with it. Throws for a
 * package that names none.
 */
export async function notices({ inputs }: Metafile): Promise<string> {
  const folders = new Set<string>();
  for (const path of Object.keys(inputs)) {
    const folder = FOLDER.exec(path)?.[1];
    if (folder !== undefined) folders.add(resolve(folder));
  }
  const parts = await Promise.all([...folders].sort().map(noticeOf));
  const rule = `\n${"-".repeat(80)}\n\n`;
  return `dist/main.js holds these packages.\n${rule}${parts.join(rule)}`;
}

async function noticeOf(folder: string): Promise<string> {
  const text = await readFile(join(folder, "package.json"), "utf8");
  const { name, version, license } = JSON.parse(text) as Package;
  const files = (await readdir(folder)).filter((file) =>
    /^(licen[cs]e|copying|notice)/i.test(file),
  );
  if (license === undefined && files.length === 0) throw new Error(`${name} names no licence.`);
  const texts = await Promise.all(files.sort().map((file) => readFile(join(folder, file), "utf8")));
  return [`${name} ${version} (${license ?? "see below"})\n`, ...texts].join("\n");
}
