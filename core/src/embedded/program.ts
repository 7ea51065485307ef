import { type ChildProcess, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { StoreError } from "../store/error.ts";
import { unsupported } from "./binaries.ts";
import type { Layout } from "./home.ts";

/** Starts a program of Postgres as the cluster's owner; with a file for its output it is detached. */
export function launch(
  program: string,
  parameters: readonly string[],
  { home, owner }: Layout,
  output: number | "pipe",
): ChildProcess {
  return spawn(program, parameters, {
    ...owner,
    cwd: home,
    // The server outlives whoever starts it: it gets none of the secrets in that environment.
    ...(process.platform === "win32" ? {} : { env: { PATH: "/usr/bin:/bin", LC_ALL: "C" } }),
    detached: output !== "pipe",
    windowsHide: true,
    stdio: ["ignore", output, output],
  });
}

/** Runs a program to its end. Throws `embedded_failed` with what it said. */
export async function run(
  program: string,
  parameters: readonly string[],
  layout: Layout,
): Promise<void> {
  const child = launch(program, parameters, layout, "pipe");
  let said = "";
  for (const stream of [child.stdout, child.stderr])
    stream?.setEncoding("utf8").on("data", (text: string) => {
      said += text;
    });
  const ended = new Promise<number | null>((resolve) => child.once("close", resolve));
  await spawned(child);
  if ((await ended) !== 0) throw failed(`${program} failed`, said, layout);
}

/**
 * Resolves when the program runs. Throws when it cannot: one made for another C library is there and
 * yet "not found".
 */
export async function spawned(child: ChildProcess): Promise<void> {
  const error = await new Promise<NodeJS.ErrnoException | undefined>((resolve) => {
    child.once("spawn", () => resolve(undefined));
    child.once("error", resolve);
  });
  if (error === undefined) return;
  if (error.code === "ENOENT" || error.code === "ENOEXEC") throw unsupported(error);
  throw new StoreError("embedded_failed", {
    message: `The embedded Postgres cannot be run: ${error.message}.`,
    fix: "As root it must be able to become another user: run as a normal user, or set TIDEBASE_DATABASE_URL.",
    cause: error,
  });
}

/** initdb asks for the user's name, which an arbitrary `docker run --user` has not. */
const NAMELESS = /user ID \d+: user does not exist/;

/** What happened, the last lines that Postgres said about it, and where to read more. */
export function failed(what: string, said: string, { log }: Layout, cause?: unknown): StoreError {
  const lines = said.trim().split("\n").slice(-4).join(" ");
  return new StoreError("embedded_failed", {
    message: lines === "" ? `${what}.` : `${what}: ${lines}`,
    fix: NAMELESS.test(said)
      ? "Run as a user that /etc/passwd lists, or set TIDEBASE_DATABASE_URL to another Postgres."
      : `Read ${existsSync(log) ? log : "the message"}, or set TIDEBASE_DATABASE_URL to another Postgres.`,
    cause,
  });
}
