import { overview, TidebaseError } from "@tidebase/core";
import { type Check, fail, lasting, missingScope, ok, warn } from "./check.ts";
import type { StoreContext } from "./store-checks.ts";

const CLOCK_MS = 5_000;
const SET_KEY =
  "Set TIDEBASE_API_KEY; `npx tidebase keys create <name> --scopes read` on the server's machine makes a key.";

/** Whether a server takes the key; what lacks a scope is told by the checks that need it. */
export const keyCheck: Check<StoreContext & { readonly apiKey: string | undefined }> = {
  name: "API key",
  async look({ backend, apiKey }) {
    try {
      await backend.execute(overview, {});
    } catch (thrown) {
      const code = thrown instanceof TidebaseError ? thrown.code : undefined;
      if (code === "key_missing") return fail("The server asks for an API key.", SET_KEY);
      if (code === "key_invalid")
        return fail("The API key is unknown to the server, expired or revoked.", SET_KEY);
      if (missingScope(thrown) === undefined) throw thrown;
    }
    return ok(apiKey === undefined ? "The server asks for none." : "The server takes it.");
  },
};

/** Of a server's clock, which cannot be told from the offset of tests. */
export const remoteClock: Check<StoreContext> = {
  name: "clock",
  async look({ backend, machineNow }) {
    const before = machineNow();
    const { now } = await backend.execute(overview, {});
    const within = (machineNow() - before) / 2;
    const off = Date.parse(now) - before - within;
    if (Math.abs(off) - within <= CLOCK_MS)
      return ok("The store's clock agrees with this machine's.");
    return warn(
      `The store's clock is ${lasting(Math.abs(off))} ${off > 0 ? "ahead of" : "behind"} this machine's.`,
      "Let both machines follow a time server (NTP); on the database, `npx tidebase doctor` says whether a test moved it.",
    );
  },
};
