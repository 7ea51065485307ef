import { randomBytes } from "node:crypto";
import pg from "pg";
import { migrate, migrationsDigest } from "../migrate.ts";
import { withClient } from "../store/connection.ts";
import { isLeftOver, listMade, newName, ownMark, PREFIX, TEMPLATE_PREFIX } from "./mark.ts";

/** One template is made at a time on a server, whoever makes it. */
const LOCK = "select pg_advisory_xact_lock(hashtextextended('tidebase.throwaway', 0))";

/** A database that was just made, and the mark it carries. */
export interface Made {
  readonly name: string;
  readonly url: string;
  readonly mark: string;
}

/**
 * A new migrated database on this server, cloned from a template that the first call makes. Drops what
 * processes that are gone have left. Throws StoreError.
 */
export function makeDatabase(adminUrl: string): Promise<Made> {
  return withClient(adminUrl, async (client) => {
    const template = await templateName(client);
    const listed = await listMade(client);
    const isThere = () => listed.some(({ name }) => name === template);
    if (!isThere()) await makeTemplate(client, adminUrl, template);
    const made = await clone(client, adminUrl, template).catch(async (error: unknown) => {
      if ((error as { code?: string }).code !== "3D000") throw error; // dropped as unused meanwhile
      await makeTemplate(client, adminUrl, template);
      return clone(client, adminUrl, template);
    });
    for (const one of listed) if (isLeftOver(one, template)) await dropQuietly(client, one.name);
    return made;
  });
}

/** Drops the database while it carries this mark; else does nothing. */
export function dropDatabase(adminUrl: string, { name, mark }: Made): Promise<void> {
  return withClient(adminUrl, async (client) => {
    const found = (await listMade(client)).find((listed) => listed.name === name);
    if (found?.mark === mark)
      await client.query(`drop database if exists ${quoted(name)} with (force)`);
  });
}

/** The URL of another database of the same server. */
export function atDatabase(url: string, name: string): string {
  return Object.assign(new URL(url), { pathname: `/${name}` }).href;
}

async function clone(client: pg.Client, adminUrl: string, template: string): Promise<Made> {
  const name = newName(randomBytes(6).toString("hex"));
  await client.query(`create database ${quoted(name)} template ${quoted(template)}`);
  const mark = ownMark();
  await comment(client, name, mark);
  await comment(client, template, new Date().toISOString()); // when it was last used
  return { name, url: atDatabase(adminUrl, name), mark };
}

/** Only its owner may clone a database that is no public template: so each user has one. */
async function templateName(client: pg.Client): Promise<string> {
  const { rows } = await client.query<{ owner: string }>(
    "select left(md5(current_user), 6) as owner",
  );
  return `${TEMPLATE_PREFIX}${await migrationsDigest()}_${rows[0]?.owner}`;
}

/**
 * A draft that gets its name when it is whole. The lock is a transaction's, and `create database` may
 * not be in one: so the draft is made over another connection.
 */
async function makeTemplate(client: pg.Client, adminUrl: string, template: string): Promise<void> {
  await client.query("begin");
  try {
    await client.query(LOCK);
    const listed = await listMade(client);
    if (!listed.some(({ name }) => name === template))
      await withClient(adminUrl, (other) => build(other, adminUrl, template));
  } finally {
    await client.query("rollback");
  }
}

async function build(client: pg.Client, adminUrl: string, template: string): Promise<void> {
  const draft = newName(randomBytes(6).toString("hex"));
  await client.query(`create database ${quoted(draft)}`);
  await comment(client, draft, ownMark());
  await migrate({ databaseUrl: atDatabase(adminUrl, draft) });
  await client.query(`alter database ${quoted(draft)} with allow_connections false`);
  await client.query(`alter database ${quoted(draft)} rename to ${quoted(template)}`);
}

async function comment(client: pg.Client, name: string, text: string): Promise<void> {
  await client.query(`comment on database ${quoted(name)} is ${pg.escapeLiteral(text)}`);
}

/** Two processes may drop the same one; what stays is found again by the next. */
async function dropQuietly(client: pg.Client, name: string): Promise<void> {
  await client.query(`drop database if exists ${quoted(name)} with (force)`).catch(() => {});
}

/** Only ever a name of ours. */
function quoted(name: string): string {
  if (!name.startsWith(PREFIX) && !name.startsWith(TEMPLATE_PREFIX))
    throw new Error(`Not a throw-away database: ${name}.`);
  return pg.escapeIdentifier(name);
}
