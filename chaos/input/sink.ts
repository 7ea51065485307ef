import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";

/** A message that a webhook got. */
interface Caught {
  readonly headers: Readonly<Record<string, unknown>>;
  readonly body: string;
}

/** Where a stage's webhooks go. */
export interface Sink {
  readonly url: string;
  /** How the server is told that messages may go there. */
  readonly allow: string;
  readonly caught: readonly Caught[];
  close(): Promise<void>;
}

/** Answers 200 to everything and keeps it. */
export async function openSink(): Promise<Sink> {
  const caught: Caught[] = [];
  const server = createServer((incoming, outgoing) => {
    text(incoming).then(
      (body) => {
        caught.push({ headers: incoming.headers, body });
        outgoing.end();
      },
      () => outgoing.destroy(),
    );
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}/`,
    allow: `127.0.0.1:${port}`,
    caught,
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}
