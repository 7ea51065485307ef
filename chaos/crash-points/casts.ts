import { openCore } from "@tidebase/core";
import { Tidebase } from "@tidebase/sdk";
import { openLog, type RunningServer, startServer } from "@tidebase/server";
import { freePort } from "../../test/support/free-port.ts";
import type { Begin } from "./life.ts";
import { openOracleFile } from "./oracle-file.ts";
import type { Scene } from "./served-load.ts";
import type { Cast } from "./troupe.ts";
import { QUEUE, registerWorkflows } from "./workflows.ts";

/** The worker is under test; this process serves, sweeps and sends. */
export async function workerCast(scene: Scene, worker: Begin): Promise<Cast> {
  const { database, oracleFile, workerKey } = scene;
  const core = openCore({
    databaseUrl: database.url,
    poolMax: 5,
    sweepEveryMs: 100,
    sweepGraceMs: 0,
    webhooks: { allow: ["127.0.0.1"] },
  });
  const log = openLog("error");
  const server: RunningServer = await startServer({ core, port: 0, store: "crash points", log });
  return {
    url: server.url,
    begin: (at) => worker([server.url, workerKey, oracleFile], at),
    async close() {
      await server.close();
      await core.close();
    },
  };
}

/** The server is under test, always on one port; the worker works in this process. */
export async function serverCast(scene: Scene, server: Begin): Promise<Cast> {
  const { database, oracleFile, workerKey } = scene;
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const version = `worker ${process.pid}`;
  const own = { resumeHint: false, log: () => {} };
  const tide = new Tidebase({ url, apiKey: workerKey, version, ...own });
  const oracle = openOracleFile(oracleFile, version);
  registerWorkflows(tide, oracle);
  let isOpen = false;
  return {
    url,
    begin: (at) => server([database.url, String(port)], at),
    open() {
      if (!isOpen) tide.work({ queues: [QUEUE], concurrency: 4 });
      isOpen = true;
    },
    leave: () => tide.close(),
    async close() {
      await tide.close();
      oracle.close();
    },
  };
}
