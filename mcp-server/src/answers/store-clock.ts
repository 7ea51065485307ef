import { type Backend, overview } from "@tidebase/core";
import { ask } from "./plain.ts";

/** The store's clock, in milliseconds since 1970: what is late or comes next is decided by it and not by ours. */
export async function storeNow(backend: Backend): Promise<number> {
  const { now } = await ask(backend, overview, {});
  return Date.parse(now);
}
