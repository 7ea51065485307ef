import {
  type Core,
  type Environment,
  findHome,
  openCore,
  openThrowaway,
  StoreError,
  type Throwaway,
} from "@tidebase/core";
import { startServer } from "../server.ts";
import { answerGates, type GateRule } from "./gate-answers.ts";

export type { GateAnswer, GateRule, ShownGate } from "./gate-answers.ts";

/** How a throw-away store is made and served. */
export interface ThrowawayServerOptions {
  /** A Postgres of the caller; by default the embedded one, whose home `env` says. */
  readonly databaseUrl?: string | undefined;
  readonly env: Environment;
  /** Length of a lease when the worker names none, in milliseconds. */
  readonly leaseMs?: number | undefined;
}

/** A server in this process over a store that nobody else uses, and whose clock can be moved. */
export interface ThrowawayServer {
  readonly url: string;
  now(): Promise<Date>;
  /**
   * Moves the clock forwards to the moment, with a stop wherever something is due, and sweeps at each.
   * `moved` is told of each stop, in milliseconds. Throws what a sweep or a gate's rule threw.
   */
  moveTo(moment: Date, moved: (ms: number) => void): Promise<void>;
  /** The result takes the rule out again. */
  answerGates(rule: GateRule): () => void;
  /** Lets the leases of these grants be over: whoever begins their runs takes them over. */
  lapse(grantIds: readonly string[]): Promise<void>;
  /** What was begun here has happened: gates decided, due things swept. Throws as `moveTo`. */
  settle(): Promise<void>;
  /** Stops the server and drops the database. A second call waits for the first. */
  close(): Promise<void>;
}

/** More moments than these are passed in one leap, as while a server was down. */
const STOPS_MAX = 1000;
const LOOPBACK = ["localhost", "127.0.0.0/8"];

/** Opens and serves it on a free port of the loopback. Throws StoreError. */
export async function openThrowawayServer(
  options: ThrowawayServerOptions,
): Promise<ThrowawayServer> {
  const { databaseUrl, env, leaseMs } = options;
  const place = databaseUrl === undefined ? { home: findHome(env) } : { databaseUrl };
  const throwaway = await openThrowaway(place).catch(explained);
  const opened = openCore({
    databaseUrl: throwaway.databaseUrl,
    poolMax: 5, // many test files share one Postgres
    sweepGraceMs: 0, // nothing is lost here but what a test lets go
    limits: { ...(leaseMs !== undefined && { leaseMs }) },
    webhooks: { allow: LOOPBACK },
    retentionDays: 0, // whoever lets a month pass still looks at what happened before
  });
  const gates = answerGates(opened);
  const server = await startServer({ core: gates.core, port: 0 }).catch(async (error: unknown) => {
    await opened.close();
    await throwaway.drop();
    throw error;
  });
  const settle = async (): Promise<void> => {
    await gates.settle();
    await opened.settle();
    await gates.settle();
  };
  let closing: Promise<void> | undefined;
  return {
    url: server.url,
    now: () => throwaway.clock.now(),
    moveTo: (moment, moved) => moveTo(throwaway, settle, moment, moved),
    answerGates: (rule) => gates.add(rule),
    lapse: (grantIds) =>
      throwaway.clock.lapse(grantIds.map((grantId) => grantId.replace(/^grant_/, ""))),
    settle,
    close() {
      closing ??= close(server, opened, throwaway);
      return closing;
    },
  };
}

async function moveTo(
  { clock }: Throwaway,
  settle: () => Promise<void>,
  moment: Date,
  moved: (ms: number) => void,
): Promise<void> {
  await settle();
  for (let stops = 0; stops < STOPS_MAX; stops++) {
    const due = await clock.nextDue(moment);
    if (due === undefined) break;
    moved(await clock.moveTo(new Date(due.getTime() + 1))); // Postgres counts microseconds
    await settle();
  }
  moved(await clock.moveTo(moment));
  await settle();
}

async function close(
  server: { close(): Promise<void> },
  core: Core,
  throwaway: Throwaway,
): Promise<void> {
  await server.close();
  await core.close();
  await throwaway.drop();
}

/** The variable that core names helps a server, and not a test. */
function explained(error: unknown): never {
  if (!(error instanceof StoreError) || error.code !== "embedded_unsupported") throw error;
  throw new StoreError(error.code, {
    message: error.message,
    fix: "Give openTestStore a Postgres 14 or newer: `openTestStore({ databaseUrl })`.",
    cause: error,
  });
}
