import { Tidebase } from "@tidebase/sdk";

/** Sleeps for an hour in one run, without giving up its process. Usage: sleeping-worker.ts SERVER RUN. */
const [url = "", runId = ""] = process.argv.slice(2);
const tidebase = new Tidebase({ url, onWait: "block" });
await tidebase.run("sleeper", { runId }, ({ sleep }) => sleep("long", "1h"));
