import { connect, type Socket } from "node:net";
import type { Ear } from "./losing.ts";
import { type Course, openPump } from "./pump.ts";

/** Where a connection goes on to. */
export interface Target {
  readonly host: string;
  readonly port: number;
}

/** What holds for every connection of a link now. */
interface Rules {
  delayMs: number;
  isHole: boolean;
}

/** A client's connection and the one that was made for it. */
export interface Connection {
  readonly held: number;
  /** The rules have changed. */
  flow(): void;
  /** Ends both sides by RST, now. */
  reset(): void;
}

/** What a connection needs of its link. */
export interface ConnectionOptions {
  readonly rules: Rules;
  readonly ear: Ear;
  /** The targets, the one to try first in front. */
  targets(): readonly Target[];
  random(below: number): number;
  ended(): void;
}

/**
 * Joins the client to the first target that accepts; resets it when none does. In a hole nobody is reached, and a broken
 * side is not told to the other: both happen after it.
 */
export function openConnection(client: Socket, options: ConnectionOptions): Connection {
  const { rules, ear, random } = options;
  let upstream: Socket | undefined;
  let isDialling = false;
  let isBroken = false;
  let isOver = false;
  let pumps: ReturnType<typeof openPump>[] = [];

  function reset(): void {
    if (isOver) return;
    isOver = true;
    for (const pump of pumps) pump.stop();
    client.resetAndDestroy();
    upstream?.resetAndDestroy();
    options.ended();
  }

  function broke(): void {
    isBroken = true;
    if (!rules.isHole) reset();
  }

  function closed(): void {
    if (client.destroyed && (upstream === undefined || upstream.destroyed)) reset();
  }

  async function dial(): Promise<void> {
    isDialling = true;
    const reached = await firstOf(options.targets());
    if (reached === undefined || reached.destroyed || isOver) {
      reached?.destroy();
      reset();
      return;
    }
    upstream = reached.on("error", broke).on("close", closed);
    const course: Omit<Course, "through"> = {
      waitMs: () => (rules.delayMs === 0 ? 0 : random(rules.delayMs + 1)),
      isHeld: () => rules.isHole,
      reset,
    };
    const there = openPump(client, reached, {
      ...course,
      through(chunk) {
        ear.asked(chunk);
        return chunk;
      },
    });
    const back = openPump(reached, client, { ...course, through: ear.answered });
    pumps = [there, back];
  }

  function flow(): void {
    if (rules.isHole) return;
    if (isBroken) reset();
    else if (!isDialling) void dial();
    else for (const pump of pumps) pump.flow();
  }

  client.on("error", broke).on("close", closed);
  flow();
  return {
    get held() {
      return pumps.reduce((sum, pump) => sum + pump.held, 0);
    },
    flow,
    reset,
  };
}

async function firstOf(targets: readonly Target[]): Promise<Socket | undefined> {
  for (const target of targets) {
    const socket = await reach(target);
    if (socket !== undefined) return socket;
  }
  return undefined;
}

function reach({ host, port }: Target): Promise<Socket | undefined> {
  return new Promise((resolve) => {
    const socket = connect({ host, port, allowHalfOpen: true, noDelay: true });
    socket.once("error", () => resolve(undefined));
    socket.once("connect", () => resolve(socket));
  });
}
