import { once } from "node:events";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { randomOf } from "../../test/support/random.ts";
import { type Connection, openConnection, type Target } from "./connection.ts";
import type { Link } from "./link.ts";
import { httpEar, type Losses, postgresEar } from "./losing.ts";

/** What a link connects. */
export interface LinkOptions {
  /** Those who serve now; each connection goes to the next that accepts. */
  targets(): readonly Target[];
  /** What it reads along for `loseAnswers`. */
  readonly kind: "postgres" | "http";
  /** A number from 0 up to and without `below`, for delays; by default the same ones in every link. */
  random?(below: number): number;
}

/**
 * Opens a link on a free port of the loopback. While nothing hurts it, it passes bytes on, with the sender's pace that the
 * receiver bears. A connection that `refuse` refuses is reset as soon as it is made: the port stays the link's own.
 */
export async function openLink(options: LinkOptions): Promise<Link> {
  const { targets, kind, random = randomOf(1) } = options;
  const rules = { delayMs: 0, isHole: false };
  const losses: Losses = { every: 0, requests: 0, lost: 0, deaf: false, unheard: 0 };
  const connections = new Set<Connection>();
  const turned = turning(targets);
  let isRefusing = false;

  function accept(client: Socket): void {
    if (isRefusing) {
      client.on("error", () => {});
      client.resetAndDestroy();
      return;
    }
    const ear = kind === "postgres" ? postgresEar(losses) : httpEar(losses);
    const ended = () => connections.delete(connection);
    const connection: Connection = openConnection(client, {
      ...{ rules, ear, targets: turned, random, ended },
    });
    connections.add(connection);
  }

  function cut(): void {
    for (const connection of [...connections]) connection.reset();
  }

  const server = createServer({ allowHalfOpen: true, noDelay: true }, accept);
  await once(server.listen(0, "127.0.0.1"), "listening");
  return {
    port: (server.address() as AddressInfo).port,
    get open() {
      return connections.size;
    },
    get held() {
      return [...connections].reduce((sum, { held }) => sum + held, 0);
    },
    get lost() {
      return losses.lost;
    },
    get unheard() {
      return losses.unheard;
    },
    cut,
    delay(maxMs) {
      rules.delayMs = maxMs;
    },
    hole() {
      rules.isHole = true;
    },
    refuse() {
      isRefusing = true;
      cut();
    },
    loseAnswers(every) {
      Object.assign(losses, { every, requests: 0 });
    },
    deafen() {
      losses.deaf = true;
    },
    heal() {
      isRefusing = false;
      Object.assign(rules, { delayMs: 0, isHole: false });
      Object.assign(losses, { every: 0, deaf: false });
      for (const connection of [...connections]) connection.flow();
    },
    async close() {
      const closed = once(server, "close");
      server.close();
      cut();
      await closed;
    },
  };
}

/** All of them, each time another in front. */
function turning(targets: () => readonly Target[]): () => readonly Target[] {
  let turn = 0;
  return () => {
    const all = targets();
    const first = all.length === 0 ? 0 : turn % all.length;
    turn += 1;
    return [...all.slice(first), ...all.slice(0, first)];
  };
}
