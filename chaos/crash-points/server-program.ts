import { openCore } from "@tidebase/core";
import { openLog, startServer, stopOnSignal } from "@tidebase/server";

/*
 * The server under test, as its main program makes it but with a quicker pulse: serves, sweeps and sends until SIGTERM.
 * Arguments: the database, the port.
 */

const [databaseUrl = "", port = ""] = process.argv.slice(2);
const core = openCore({
  databaseUrl,
  sweepEveryMs: 200,
  sweepGraceMs: 0,
  webhooks: { allow: ["127.0.0.1"] },
});
const server = await startServer({
  core,
  port: Number(port),
  store: "a store of crash points",
  log: openLog("error"),
});
const fail = (error: unknown): never => {
  process.stderr.write(`${String(error)}\n`);
  process.exit(1);
};
stopOnSignal(async () => {
  await server.close();
  await core.close();
}, fail);
process.stdout.write("ready\n");
