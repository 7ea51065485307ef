import type { ThrowawayServer, ThrowawayServerOptions } from "@tidebase/server/testing";
import { TidebaseError } from "../errors.ts";

/** Opens a store and serves it in this process. Throws `config_invalid` when the server is not installed. */
export async function openServer(options: ThrowawayServerOptions): Promise<ThrowawayServer> {
  const { openThrowawayServer } = await load();
  return openThrowawayServer(options);
}

/** The server is a peer that only tests need. */
async function load(): Promise<typeof import("@tidebase/server/testing")> {
  try {
    return await import("@tidebase/server/testing");
  } catch (cause) {
    if ((cause as { code?: unknown }).code !== "ERR_MODULE_NOT_FOUND") throw cause;
    const says =
      "@tidebase/sdk/testing needs the package @tidebase/server, which is not installed: npm install -D @tidebase/server";
    // biome-ignore lint/style/useErrorCause: it looks for the options in second place, and finds them in fourth
    throw new TidebaseError("config_invalid", says, { package: "@tidebase/server" }, { cause });
  }
}
