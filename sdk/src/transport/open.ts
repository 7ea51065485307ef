import { TidebaseError } from "../errors.ts";
import type { Transport, TransportOptions } from "./transport.ts";

/**
 * undici's own client on Node, whose global fetch is twelve times slower on the same server; fetch
 * elsewhere, or where the caller gives one.
 */
export function openTransport(options: TransportOptions): Transport {
  const usesFetch = options.fetch !== undefined || !isNode();
  const opening = usesFetch
    ? import("./fetch.ts").then(({ fetchTransport }) => fetchTransport(options))
    : import("./undici.ts").then(({ undiciTransport }) => undiciTransport(options));
  opening.catch(() => {}); // every call reports it
  let opened: Transport | undefined;
  let closing: Promise<void> | undefined;
  opening.then(
    (transport) => {
      opened = transport;
    },
    () => {},
  );
  const usable = (): Transport | Promise<Transport> => {
    if (closing === undefined) return opened ?? opening;
    throw new TidebaseError(
      "client_closed",
      "This Tidebase client is closed. Make the call before close(), or with a new client.",
    );
  };
  return {
    send: async (...exchange) => (await usable()).send(...exchange),
    open: async (...exchange) => (await usable()).open(...exchange),
    close() {
      closing ??= opening.then((transport) => transport.close());
      return closing;
    },
  };
}

/** Deno and Bun call themselves Node too, and bring a fetch of their own that is fast. */
function isNode(): boolean {
  return (
    typeof process === "object" &&
    process.release?.name === "node" &&
    !("Deno" in globalThis) &&
    !("Bun" in globalThis)
  );
}
