import type { AddressInfo } from "node:net";
import { serve } from "@hono/node-server";
import { isTidebaseError, type Run, Tidebase } from "@tidebase/sdk";

/*
 * A program that asks and leaves (`ask <runs>`: it prints the runs' ids and ends while they wait), or one
 * that is told to go on (`receive <secret>`).
 */

/** What the runs tell of themselves when they are done. */
export interface Waited {
  readonly approved: boolean;
  /** The processes that did the step before and the step after the gate. */
  readonly pids: readonly number[];
}

const tide = new Tidebase();
const workflow = tide.workflow("waits", async (run: Run<undefined>): Promise<Waited> => {
  const before = await run.step("before", () => process.pid);
  const { approved } = await run.gate("go on", { prompt: "May it go on?" });
  const after = await run.step("after", () => process.pid);
  return { approved, pids: [before, after] };
});

async function ask(): Promise<void> {
  try {
    await workflow.run();
  } catch (error) {
    if (!isTidebaseError(error, "run_suspended")) throw error;
    console.log(error.data["runId"]);
    return;
  }
  throw new Error("It did not wait.");
}

const [does = "", word = ""] = process.argv.slice(2);
if (does === "ask") {
  await Promise.all(Array.from({ length: Number(word) }, ask));
  await tide.close();
} else {
  const fetch = tide.webhook({ secret: word });
  const server = serve({ fetch, hostname: "127.0.0.1", port: 0 }, ({ port }: AddressInfo) =>
    console.log(`http://127.0.0.1:${port}`),
  );
  process.once("SIGTERM", () => {
    server.close();
    void tide.close();
  });
}
