import { readFile } from "node:fs/promises";

/** The lines of a JSONL file; one that its writer did not finish, for it was killed, is left out. */
export async function readLines<T>(file: string): Promise<T[]> {
  const text = await readFile(file, "utf8").catch(() => "");
  const whole = text.slice(0, text.lastIndexOf("\n") + 1);
  return whole.split("\n").flatMap((line) => (line === "" ? [] : [JSON.parse(line) as T]));
}
