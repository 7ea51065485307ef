import { createRequire } from "node:module";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { freePort, startServer } from "../processes.mjs";

const TIDEBASE = fileURLToPath(new URL("../../http-server/dist/main.js", import.meta.url));

/** Servers of the systems that have one. Each answers what its adapter is given, and how it is stopped. */
export const SERVERS = { tidebase, restate };

async function tidebase({ databaseUrl, profile }) {
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const env = { TIDEBASE_DATABASE_URL: databaseUrl, TIDEBASE_PORT: String(port) };
  const server = await startServer({ args: [TIDEBASE], ready: [`${url}/ready`], env, profile });
  return { given: { url }, stop: server.stop };
}

async function restate({ folder }) {
  const [ingress, admin, node] = [await freePort(), await freePort(), await freePort()];
  const given = { ingress: `http://127.0.0.1:${ingress}`, admin: `http://127.0.0.1:${admin}` };
  const server = await startServer({
    program: restateProgram(),
    args: ["--base-dir", join(folder, `restate-${node}`), "--no-logo"],
    ready: [`${given.admin}/health`, `${given.ingress}/restate/health`],
    env: {
      RESTATE_DISABLE_TELEMETRY: "true",
      RESTATE_LISTEN_MODE: "tcp",
      RESTATE_BIND_IP: "127.0.0.1",
      RESTATE_ADVERTISED_HOST: "127.0.0.1",
      RESTATE_BIND_ADDRESS: `127.0.0.1:${node}`,
      RESTATE_INGRESS__BIND_ADDRESS: `127.0.0.1:${ingress}`,
      RESTATE_ADMIN__BIND_ADDRESS: `127.0.0.1:${admin}`,
      RESTATE_LOG_FILTER: "warn",
    },
  });
  return { given, stop: server.stop };
}

/** The binary of this platform's npm package. */
function restateProgram() {
  const name = `@restatedev/restate-server-${process.platform}-${process.arch}`;
  const { resolve } = createRequire(import.meta.url);
  return join(resolve(`${name}/package.json`), "../bin/restate-server");
}
