import { type ChildProcess, spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { end, untilPrinted } from "./process.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));
const source = ["--import", "tsx", "--conditions=tidebase-source"];

/** A server program of its own on a database, until `stop`. */
export interface ServerProcess {
  readonly url: string;
  readonly child: ChildProcess;
  stop(): Promise<void>;
}

/** Starts the server's program from source on a free port, with these variables besides. */
export async function startServerProcess(
  databaseUrl: string,
  variables: Readonly<Record<string, string>> = {},
): Promise<ServerProcess> {
  const { TIDEBASE_URL: _u, DATABASE_URL: _d, ...inherited } = process.env;
  const env = { ...inherited, TIDEBASE_DATABASE_URL: databaseUrl, ...variables };
  const args = [...source, "http-server/src/main.ts", "--port", "0"];
  const child = spawn(process.execPath, args, { cwd: root, env });
  const [url] = await untilPrinted(child, /http:\/\/127\.0\.0\.1:\d+/);
  return { url, child, stop: async () => void (await end(child, "SIGTERM")) };
}
