import { Tidebase } from "@tidebase/sdk";
import { openOracleFile } from "./oracle-file.ts";
import { QUEUE, registerWorkflows } from "./workflows.ts";

/* The worker under test: works on the queue until SIGTERM. Arguments: the server's address, a key, the oracle's file. */

const [url = "", apiKey = "", oracleFile = ""] = process.argv.slice(2);
const version = `worker ${process.pid}`;
const tide = new Tidebase({ url, apiKey, version, resumeHint: false });
registerWorkflows(tide, openOracleFile(oracleFile, version));
const worker = tide.work({ queues: [QUEUE], concurrency: 4 });
process.once("SIGTERM", () => void worker.stop());
process.stdout.write("ready\n");
await worker.done;
await tide.close();
