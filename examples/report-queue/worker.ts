import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { Tidebase } from "@tidebase/sdk";
import { QUEUE } from "./names.ts";
import { registerWorkflows } from "./workflows.ts";

const HELP = `worker.ts [options]

Works on the runs of the queue "${QUEUE}" until SIGTERM or Ctrl-C. Then it takes nothing more, finishes
what it has begun, hands back what takes longer than ten seconds, and ends.

  --concurrency <n>   runs at once (default 6)
  --out <folder>      where reports and traces go (default ./tidebase-demo/reports)
  --version <text>    of this code, for the record
  --pace <ms>         how long a step takes at least (default 0)
  --defect <path>     fail on that document, as a bug would
  --help              this text`;

const { values } = parseArgs({
  options: {
    concurrency: { type: "string" },
    out: { type: "string" },
    version: { type: "string" },
    pace: { type: "string" },
    defect: { type: "string" },
    help: { type: "boolean" },
  },
});

if (values.help === true) console.log(HELP);
else {
  const tide = new Tidebase(values.version === undefined ? {} : { version: values.version });
  registerWorkflows(tide, {
    root: fileURLToPath(new URL("../../", import.meta.url)),
    out: resolve(values.out ?? "tidebase-demo/reports"),
    paceMs: Number(values.pace ?? 0),
    defect: values.defect,
  });
  const worker = tide.work({ queues: [QUEUE], concurrency: Number(values.concurrency ?? 6) });
  console.log(`${worker.workerId} works on "${QUEUE}".`);
  // Drained: nobody is left who needs the connection.
  await worker.done;
  await tide.close();
}
