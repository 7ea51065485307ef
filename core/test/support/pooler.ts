import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";

/** A way to Postgres on which statements meet what they meet behind a pooler, or on a bad network. */
export interface Pooler {
  readonly url: string;
  /** While it is on, nothing comes back, and no connection ends. */
  swallow(on: boolean): void;
  close(): void;
}

/** How the message begins that names the process which serves the connection: its type, its length, then the id. */
const KEY = "K\0\0\0\f";
const OTHER_ID = "\0\0\0\u0001";

/** Every connection shows a process id of the pooler's own. */
export async function openPooler(databaseUrl: string): Promise<Pooler> {
  const target = new URL(databaseUrl);
  const sockets = new Set<Socket>();
  let swallows = false;
  const server = createServer((client) => {
    const upstream = connect(Number(target.port), target.hostname);
    for (const socket of [client, upstream]) sockets.add(socket.on("error", () => {}));
    let shown = false;
    upstream.setEncoding("latin1").on("data", (text: string) => {
      const at = shown ? -1 : text.indexOf(KEY) + KEY.length;
      const isIt = at >= KEY.length;
      const told = isIt ? text.slice(0, at) + OTHER_ID + text.slice(at + OTHER_ID.length) : text;
      shown ||= isIt;
      if (!swallows) client.write(told, "latin1"); // a character for each byte
    });
    client.pipe(upstream);
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  const { port } = server.address() as AddressInfo;
  return {
    url: Object.assign(new URL(databaseUrl), { host: `127.0.0.1:${port}` }).href,
    swallow(on) {
      swallows = on;
    },
    close() {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}
