import { realpath } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";
import { StoreError } from "../store/error.ts";
import { connect, createDatabase } from "./connection.ts";
import type { Layout } from "./home.ts";
import { findPostmaster } from "./server.ts";

const ANSWER_MS = 60_000;
const POLL_MS = 50;

/**
 * The port of the running server, once it answers and shows this data directory; undefined: none
 * runs.
 */
export async function adopt(layout: Layout, password: string): Promise<number | undefined> {
  for (const deadline = Date.now() + ANSWER_MS; Date.now() < deadline; await delay(POLL_MS)) {
    const running = await findPostmaster(layout);
    if (running === undefined) return undefined;
    if (running.ready && (await answers(running.port, password, layout))) return running.port;
  }
  throw new StoreError("embedded_failed", {
    message: `A Postgres on ${layout.data} runs, but has not answered for ${ANSWER_MS / 1000} s.`,
    fix: `Read ${layout.log}; \`npx tidebase db stop\` ends it.`,
  });
}

async function answers(port: number, password: string, layout: Layout): Promise<boolean> {
  try {
    const client = await connect(port, password);
    try {
      const { rows } = await client.query<{ data_directory: string }>("show data_directory");
      return (await realpath(rows[0]?.data_directory ?? "")) === layout.data;
    } finally {
      await client.end();
    }
  } catch (error) {
    const code = (error as { code?: string }).code;
    if (code === "28P01") throw wrongPassword(layout, error);
    if (code === "3D000") await createDatabase(port, password); // killed before it was made
    return code === "53300"; // too many clients: it runs
  }
}

function wrongPassword({ password, data }: Layout, cause: unknown): StoreError {
  return new StoreError("embedded_failed", {
    message: `The server on ${data} does not accept the password in ${password}.`,
    fix: "Restore that file, or move the folder beside it away to begin anew.",
    cause,
  });
}
