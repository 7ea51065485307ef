import {
  type Backend,
  type FoundStore,
  getRun,
  listRuns,
  remote,
  TidebaseError,
} from "@tidebase/core";
import type { Cli } from "../cli.ts";
import { foundBy } from "../stores.ts";
import { type Check, fail, missingScope, ok, type Said, warn } from "./check.ts";

const TIMEOUT_MS = 5_000;
const START = "npx tidebase-server";

/** Where a server is looked for, and what its store is held against. */
export interface ServerContext {
  readonly cli: Cli;
  readonly found: FoundStore;
  /** The store of one's own; undefined where there is none, or it cannot be read. */
  readonly own: Backend | undefined;
}

/** The HTTP server that programs with the SDK work with: there, of this version, and of this store. */
export const serverCheck: Check<ServerContext> = {
  name: "server",
  async look({ cli, found, own }) {
    const url = addressOf(cli, found);
    const health = await readHealth(url);
    if (health === undefined) {
      const origin = originBefore(url);
      if (origin !== undefined && (await readHealth(origin)) !== undefined)
        return (found.kind === "remote" ? fail : warn)(
          `A Tidebase server answers at ${origin}, but not at ${url}.`,
          `Leave out the path: ${foundBy(cli, found) === "--url" ? "--url " : "TIDEBASE_URL="}${origin}`,
        );
      const absent = `No Tidebase server answers at ${url}`;
      if (found.kind === "remote")
        return fail(`${absent}.`, `Start it there (${START}), or correct the URL.`);
      return warn(`${absent}: programs with the SDK find none.`, START);
    }
    if (health.version !== cli.version)
      return warn(
        `The server at ${url} is of version ${health.version}, and this program of ${cli.version}.`,
        "Install the same version of both.",
      );
    return own === undefined ? ok(`Answers at ${url}.`) : await compared(cli, url, own);
  },
};

function addressOf({ env }: Cli, found: FoundStore): string {
  if (found.kind === "remote") return found.url;
  const port = env["TIDEBASE_PORT"] || env["PORT"] || "7373";
  return env["TIDEBASE_URL"] || `http://127.0.0.1:${port}`;
}

/** The address without the path that it has; undefined where it has none. */
function originBefore(url: string): string | undefined {
  if (!URL.canParse(url)) return undefined;
  const { origin, pathname } = new URL(url);
  return pathname === "/" ? undefined : origin;
}

/** Undefined where nothing answers, or something else than Tidebase does. */
async function readHealth(url: string): Promise<{ version: string } | undefined> {
  try {
    const base = url.endsWith("/") ? url : `${url}/`;
    const signal = AbortSignal.timeout(TIMEOUT_MS);
    const answer = await fetch(new URL("health", base), { signal, redirect: "error" });
    const { healthy, version } = (await answer.json()) as { healthy?: unknown; version?: unknown };
    return healthy === true && typeof version === "string" ? { version } : undefined;
  } catch {
    return undefined;
  }
}

/** Whether both know each other's newest run. */
async function compared({ env }: Cli, url: string, own: Backend): Promise<Said> {
  const server = remote({ url, apiKey: env["TIDEBASE_API_KEY"] });
  try {
    const same = (await knows(server, own)) && (await knows(own, server));
    if (same) return ok(`Answers at ${url}, and works on this store.`);
    return warn(
      `The server at ${url} works on another store than this program.`,
      "Name the same store to both; `npx tidebase db status` says which one this is.",
    );
  } catch (thrown) {
    const code = thrown instanceof TidebaseError ? thrown.code : undefined;
    if (code === "key_invalid")
      return warn(
        `The server at ${url} refuses TIDEBASE_API_KEY: it is unknown, expired or revoked.`,
        "Set it to a key that is listed by `npx tidebase keys list`.",
      );
    if (code === "key_missing" || missingScope(thrown) !== undefined)
      return ok(`Answers at ${url}. Which store is its own is told with TIDEBASE_API_KEY only.`);
    throw thrown;
  }
}

/** Whether `one` has the newest run of `other`, if that has any. */
async function knows(one: Backend, other: Backend): Promise<boolean> {
  const { runs } = await other.execute(listRuns, { limit: 1 });
  const runId = runs[0]?.runId;
  if (runId === undefined) return true;
  try {
    await one.execute(getRun, { runId });
    return true;
  } catch (thrown) {
    if (thrown instanceof TidebaseError && thrown.code === "run_not_found") return false;
    throw thrown;
  }
}
