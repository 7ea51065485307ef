import { createKey, remote, type Scope, toJson } from "@tidebase/core";
import { local, operationNamed, type TestDatabase } from "../../core/test/support/database.ts";

/** Executes an operation over HTTP by its name; what it answers, as the wire shows it. */
export type Caller = (operation: string, input: object) => Promise<Record<string, unknown>>;

/** Somebody with a key of their own at the server of this URL. */
export async function callerAt(
  db: TestDatabase,
  url: string,
  scopes: readonly Scope[],
): Promise<Caller> {
  const { key } = await db.core.execute(createKey, { name: "caller", scopes }, local);
  const backend = remote({ url, apiKey: key });
  return async (operation, input) =>
    JSON.parse(toJson(await backend.execute(operationNamed(operation), input)));
}
