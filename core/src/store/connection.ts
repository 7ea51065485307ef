import pg from "pg";
import { StoreError } from "./error.ts";

const TIMEOUT_MS = 10_000;

/**
 * Does the work over one connection of its own. Throws `database_unreachable` when there is none to
 * be had, `database_refused` when Postgres refuses it or the work; what else the work throws passes.
 */
export async function withClient<T>(
  databaseUrl: string,
  work: (client: pg.Client) => Promise<T>,
  timeoutMs: number = TIMEOUT_MS,
): Promise<T> {
  const client = await connect(databaseUrl, timeoutMs);
  let lost = false;
  client.on("error", () => {
    lost = true;
  });
  try {
    return await work(client);
  } catch (error) {
    if (lost || error instanceof pg.DatabaseError) throw failure(databaseUrl, error);
    throw error;
  } finally {
    await client.end().catch(() => {});
  }
}

async function connect(databaseUrl: string, timeoutMs: number): Promise<pg.Client> {
  try {
    const client = new pg.Client({
      connectionString: databaseUrl,
      application_name: "tidebase",
      connectionTimeoutMillis: timeoutMs,
    });
    client.on("error", () => {}); // the next query tells
    await client.connect();
    return client;
  } catch (error) {
    throw failure(databaseUrl, error);
  }
}

function failure(databaseUrl: string, cause: unknown): StoreError {
  const place = describeUrl(databaseUrl);
  if (cause instanceof pg.DatabaseError)
    return new StoreError("database_refused", {
      message: `The database at ${place} refused: ${cause.message}.`,
      fix: "Check the URL's user, password and database, and what that user may do.",
      cause,
    });
  const reason = (cause as NodeJS.ErrnoException).code ?? "no answer";
  return new StoreError("database_unreachable", {
    message: `The database at ${place} cannot be reached (${reason}).`,
    fix: "Start it, or check host and port of the URL.",
    ...("input" in Object(cause) ? {} : { cause }), // a refused URL holds its password
  });
}

const INVALID = "(not a valid URL: escape special characters of the password)";

/** Host, port and path of a URL: never its user, password or parameters. */
export function describeUrl(text: string): string {
  try {
    const { protocol, host, pathname, searchParams } = new URL(text);
    if (pathname.includes("@")) return INVALID; // cut at a slash of the password
    const socket = host === "" ? (searchParams.get("host") ?? "") : "";
    return `${protocol}//${host}${socket}${pathname}`;
  } catch {
    return INVALID;
  }
}
