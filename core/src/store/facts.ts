import { checkSchema, DEFAULT_SCHEMA } from "../schema-name.ts";
import { withClient } from "./connection.ts";

/** What an operator asks of a store first. */
export interface StoreFacts {
  /** Of the server, such as `18.4`. */
  readonly serverVersion: string;
  /** Tables, indexes and all else of the schema; 0 when there is none. */
  readonly sizeBytes: number;
}

/** What the database says of the store's schema. Changes nothing. Throws StoreError. */
export function storeFacts({
  databaseUrl,
  schema = DEFAULT_SCHEMA,
}: {
  readonly databaseUrl: string;
  readonly schema?: string | undefined;
}): Promise<StoreFacts> {
  return withClient(databaseUrl, async (client) => {
    const { rows } = await client.query<{ version: string; size: string }>(
      `select current_setting('server_version') as version, (
          select coalesce(sum(pg_total_relation_size(oid)), 0) from pg_class
           where relnamespace = to_regnamespace($1)::oid and relkind in ('r', 'm')
        )::text as size`,
      [checkSchema(schema)],
    );
    const [row] = rows;
    return { serverVersion: row?.version ?? "", sizeBytes: Number(row?.size ?? 0) };
  });
}
