import { randomUUID } from "node:crypto";
import pg from "pg";
import { inject } from "vitest";

/** A database of the test cluster with an empty store, for one page. */
export async function makeStore(): Promise<{ url: string; drop(): Promise<void> }> {
  const name = `tidebase_docs_${randomUUID().replaceAll("-", "")}`;
  await administer(`create database ${name} template ${inject("template")}`);
  return {
    url: Object.assign(new URL(inject("adminUrl")), { pathname: name }).href,
    drop: () => administer(`drop database ${name} with (force)`),
  };
}

async function administer(text: string): Promise<void> {
  const client = new pg.Client(inject("adminUrl"));
  await client.connect();
  await client.query(text);
  await client.end();
}
