import { readdir, readFile } from "node:fs/promises";

/** A page of the documentation. */
interface Page {
  /** Its first heading. */
  readonly title: string;
  readonly text: string;
}

/** Beside the bundle, where packing puts it; from the source, the repository's own. */
const FOLDER = new URL(
  import.meta.url.endsWith(".ts") ? "../../../docs/" : "../docs/",
  import.meta.url,
);

let reading: Promise<ReadonlyMap<string, Page>> | undefined;

/** The pages by name, as they were when first asked for; none where they were not shipped. */
export function docPages(): Promise<ReadonlyMap<string, Page>> {
  reading ??= readPages().catch(() => new Map());
  return reading;
}

async function readPages(): Promise<ReadonlyMap<string, Page>> {
  const files = (await readdir(FOLDER)).filter((file) => /^[\w-]+\.md$/.test(file)).sort();
  const pages = files.map(async (file): Promise<[string, Page]> => {
    const text = await readFile(new URL(file, FOLDER), "utf8");
    const name = file.slice(0, -".md".length).toLowerCase();
    return [name, { title: /^# (.+)$/m.exec(text)?.[1] ?? name, text }];
  });
  return new Map(await Promise.all(pages));
}
