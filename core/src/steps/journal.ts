import type { z } from "zod";
import type { Asking } from "../database.ts";
import { JsonText } from "../json-text.ts";
import type { JournalPage } from "./schema.ts";
import * as steps from "./sql.ts";

type Entry = Pick<steps.JournalRow, "name" | "key" | "inputHash" | "output" | "outputMeta">;

/**
 * The run's finished steps after the one of this name and key, a page of them; undefined when there is no such run. The
 * text is put together here: Postgres takes twice as long for it as for the rows.
 */
export async function readJournal(
  db: Asking,
  after: { runId: string; afterName: string; afterKey: string },
): Promise<(z.output<typeof JournalPage> & { erased: boolean }) | undefined> {
  const rows = await db.many(steps.journal, after);
  const [first] = rows;
  if (first === undefined) return undefined;
  const { afterName, afterKey, erased } = first;
  const entries = first.name === null ? [] : rows.map(textOf);
  return { journal: new JsonText(`[${entries.join(",")}]`), afterName, afterKey, erased };
}

function textOf({ name, key, inputHash, output, outputMeta }: Entry): string {
  const hash = inputHash === null ? "" : `,"inputHash":${JSON.stringify(inputHash)}`;
  const notes = outputMeta === null ? "" : `,"outputMeta":${outputMeta.text}`;
  return `{"name":${JSON.stringify(name)},"key":${JSON.stringify(key)}${hash},"output":${output?.text}${notes}}`;
}
