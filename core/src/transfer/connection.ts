import { withClient } from "../store/connection.ts";
import type { Ask } from "./catalog.ts";

/** Which store is exported or filled. */
export interface TransferOptions {
  readonly databaseUrl: string;
  /** `tidebase` unless given. */
  readonly schema?: string | undefined;
}

/** What the database refuses is told as StoreError; everything else passes as it was thrown. */
export async function overOneConnection<T>(
  databaseUrl: string,
  work: (ask: Ask) => Promise<T>,
): Promise<T> {
  const outcome = await withClient(databaseUrl, async (client) => {
    const refused = new Set<unknown>();
    const ask = async <R>(text: string, values: readonly unknown[] = [], array = false) => {
      try {
        const config = { text, values: [...values], ...(array ? { rowMode: "array" } : {}) };
        return (await client.query(config)).rows as R[];
      } catch (error) {
        refused.add(error);
        throw error;
      }
    };
    try {
      return { answer: await work(ask) };
    } catch (error) {
      await client.query("rollback").catch(() => {});
      if (refused.has(error)) throw error;
      return { thrown: error };
    }
  });
  if ("thrown" in outcome) throw outcome.thrown;
  return outcome.answer;
}
