import type { ThrowawayServer } from "@tidebase/server/testing";
import type { Tidebase } from "../client.ts";
import type { TidebaseOptions } from "../config.ts";
import { TidebaseError } from "../errors.ts";
import type { Operations } from "../operations.gen.ts";
import type { RunEvent } from "../runs/events.ts";
import { forgetClock, type MovableClock, makeMovable } from "../waits/movable-clock.ts";
import { type CuttableClient, cuttableClient } from "./client.ts";
import { openTestClock, type TestClock } from "./clock.ts";
import { environment } from "./config.ts";
import { openTestGates, type TestGates } from "./gates.ts";
import { openServer } from "./server.ts";
import { named, type TestedWorkflow, type Worked, type WorkOnOptions, workOn } from "./work.ts";

/** How a store for a test is made. */
export interface TestStoreOptions {
  /**
   * A Postgres 14 or newer on which a database of its own is made and dropped. Default: the embedded
   * one.
   */
  readonly databaseUrl?: string;
  /** Length of a lease when the worker names none, in milliseconds. Default 60,000. */
  readonly leaseMs?: number;
}

/** A store that a test has to itself. */
export interface TestStore {
  /** Address of its server, which is reached from this machine alone. */
  readonly url: string;
  /** A client of it. */
  readonly tide: Tidebase;
  readonly clock: TestClock;
  readonly gates: TestGates;
  /** A further client, such as another worker. Closed with the store. */
  client(options?: Omit<TidebaseOptions, "url">): Tidebase;
  /**
   * Works on a run until it has ended, or waits for something that is not there yet; with `runId` it
   * goes on. Throws what the workflow throws.
   */
  work<Result, Input = unknown>(
    workflow: TestedWorkflow<Input, Result>,
    options?: WorkOnOptions<NoInfer<Input>>,
  ): Promise<Worked<Result>>;
  /** All events of the run so far. */
  events(runId: string): Promise<RunEvent[]>;
  /**
   * Closes the clients, stops the server and drops the database. Closing twice is closing once. What is
   * asked of the store afterwards is refused as `client_closed`.
   */
  close(): Promise<void>;
}

/** What the crash check needs besides the store. */
export interface Inside {
  readonly server: ThrowawayServer;
  readonly movable: MovableClock;
  /** A client that nobody else has; whoever asks closes it. */
  loneClient(): CuttableClient;
  /** Throws `client_closed` once the store is closed. */
  checkOpen(): void;
}

const insides = new WeakMap<TestStore, Inside>();

/**
 * A store of its own, served in this process. Throws StoreError when there is no Postgres to be had,
 * and `config_invalid` when `@tidebase/server` is not installed.
 */
export async function openTestStore(options: TestStoreOptions = {}): Promise<TestStore> {
  const server = await openServer({ ...options, env: environment() });
  const { url } = server;
  const movable = makeMovable(url);
  const clients: Tidebase[] = [];
  let closing: Promise<void> | undefined;
  const checkOpen = (): void => {
    if (closing === undefined) return;
    throw new TidebaseError("client_closed", "The test store is closed.");
  };
  const client = (more: Omit<TidebaseOptions, "url"> = {}): Tidebase => {
    checkOpen();
    const { tide } = cuttableClient(url, more);
    clients.push(tide);
    return tide;
  };
  const tide = client();
  const store: TestStore = {
    ...{ url, tide, client },
    clock: openTestClock(server, movable, checkOpen),
    gates: openTestGates(server, checkOpen),
    async work(workflow, more = {}) {
      checkOpen();
      return workOn(tide, () => server.settle(), named(workflow, more.name), more);
    },
    async events(runId) {
      checkOpen();
      return allEvents(tide, runId);
    },
    close() {
      closing ??= close(server, clients);
      return closing;
    },
  };
  const loneClient = () => cuttableClient(url, { log: () => {} });
  insides.set(store, { server, movable, loneClient, checkOpen });
  return store;
}

/** What belongs to a store that `openTestStore` gave. Throws `client_closed` once it is closed. */
export function insideOf(store: TestStore): Inside {
  const inside = insides.get(store);
  if (inside === undefined) throw new TypeError("This store was not opened by openTestStore.");
  inside.checkOpen();
  return inside;
}

async function close(server: ThrowawayServer, clients: readonly Tidebase[]): Promise<void> {
  await Promise.all(clients.map((client) => client.close()));
  await server.close();
  forgetClock(server.url);
}

async function allEvents(tide: Tidebase, runId: string): Promise<RunEvent[]> {
  const events: RunEvent[] = [];
  let afterSeq: number | null = 0;
  do {
    const page: Operations["events.list"]["output"] = await tide.call("events.list", {
      runId,
      afterSeq,
    });
    events.push(...page.events);
    afterSeq = page.nextAfterSeq;
  } while (afterSeq !== null);
  return events;
}
