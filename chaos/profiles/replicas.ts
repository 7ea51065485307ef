import { clockOff } from "../../test/support/faketime.ts";
import { type ServerProcess, startServerProcess } from "../../test/support/servers.ts";

/** Server processes of their own on one store, behind one address. */
export interface Replicas {
  /** The database must be there by then. */
  start(): Promise<void>;
  /** Hands the request to the next of them. */
  ask(request: Request): Promise<Response>;
  /** How many requests they have had. */
  asked(): number;
  close(): Promise<void>;
}

/** What belongs to one connection, or is written anew for the next. */
const HOP = ["connection", "content-length", "host", "keep-alive", "transfer-encoding"];

/** Two of them, whose clocks are off by so many seconds. */
export function openReplicas(
  databaseUrl: string,
  { leftS, rightS }: { leftS: number; rightS: number },
): Replicas {
  let started: Promise<ServerProcess[]> = Promise.resolve([]);
  let requests = 0;
  const start = () =>
    Promise.all(
      [leftS, rightS].map((seconds) =>
        startServerProcess(databaseUrl, seconds === 0 ? {} : clockOff(seconds)),
      ),
    );

  return {
    async start() {
      started = start();
      await started;
    },
    async ask(request) {
      const processes = await started;
      const next = processes[requests++ % processes.length];
      if (next === undefined) throw new Error("There is no replica.");
      const { method, headers, signal } = request;
      const sent = new Headers(headers);
      for (const name of HOP) sent.delete(name);
      const { pathname, search } = new URL(request.url);
      const body = method === "GET" ? null : await request.arrayBuffer();
      const answer = await fetch(next.url + pathname + search, {
        ...{ method, headers: sent, body, signal, redirect: "manual" },
      });
      const kept = new Headers(answer.headers);
      for (const name of HOP) kept.delete(name);
      return new Response(answer.body, { status: answer.status, headers: kept });
    },
    asked: () => requests,
    async close() {
      const processes = await started.catch(() => []);
      await Promise.all(processes.map(({ stop }) => stop()));
    },
  };
}
