import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";

/** A database's address that counts what is asked of it. */
export interface CountingProxy {
  readonly url: string;
  /** Statements executed so far, by whatever protocol. */
  count(): number;
  close(): void;
}

/** Bytes of a message's length, which counts itself but not the type before it. */
const LENGTH = 4;
const EXECUTES = new Set(["Q", "E"]);

/** Stands before Postgres and reads along: its own counters come late and forget failures. */
export async function countStatements(databaseUrl: string): Promise<CountingProxy> {
  const target = new URL(databaseUrl);
  const sockets = new Set<Socket>();
  let executed = 0;
  const server = createServer((client) => {
    const upstream = connect(Number(target.port), target.hostname);
    for (const socket of [client, upstream]) sockets.add(socket.on("error", () => {}));
    const read = messageReader((type) => {
      if (EXECUTES.has(type)) executed += 1;
    });
    client.on("data", read).pipe(upstream);
    upstream.pipe(client);
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  const { port } = server.address() as AddressInfo;
  return {
    url: Object.assign(new URL(databaseUrl), { host: `127.0.0.1:${port}` }).href,
    count: () => executed,
    close() {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}

/** Calls `told` with the type of each message of a client; the first has none. */
function messageReader(told: (type: string) => void): (chunk: Buffer) => void {
  let left = "";
  let started = false;
  return (chunk) => {
    left += chunk.toString("latin1"); // a character for each byte
    for (;;) {
      const at = started ? 1 : 0;
      if (left.length < at + LENGTH) return;
      const end = at + Buffer.from(left.slice(at, at + LENGTH), "latin1").readInt32BE();
      if (left.length < end) return;
      if (started) told(left.charAt(0));
      started = true;
      left = left.slice(end);
    }
  };
}
