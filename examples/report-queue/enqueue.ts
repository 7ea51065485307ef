import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { Tidebase } from "@tidebase/sdk";
import { enqueueAll } from "./enqueue-all.ts";
import { planNights } from "./nightly.ts";

const HELP = `enqueue.ts [options]

Queues a run for each document of this repository, Markdown first, and a schedule that does so every
night. A document whose content has been reported before is not queued again.

  --documents <n>     how many (default 200)
  --zone <zone>       of the schedule (default: this machine's)
  --help              this text`;

const { values } = parseArgs({
  options: {
    documents: { type: "string" },
    zone: { type: "string" },
    help: { type: "boolean" },
  },
});

if (values.help === true) console.log(HELP);
else {
  const tide = new Tidebase();
  const root = fileURLToPath(new URL("../../", import.meta.url));
  const documents = Number(values.documents ?? 200);
  const { created, existing, deduplicated } = await enqueueAll(tide, root, documents);
  console.log(`${created} new, ${existing} reported before, ${deduplicated} still active.`);
  const { timezone, nextFires } = await planNights(tide, documents, values.zone);
  console.log(`Every night at 2 in ${timezone}, next ${nextFires[0] ?? "never"}.`);
  await tide.close();
}
