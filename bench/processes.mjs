import { spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { request } from "undici";

const START_MS = 30_000;

/**
 * A server as a process of its own, on a free port, once `path` answers 200. With `profile`, V8 writes a CPU profile
 * into that folder when it ends.
 */
export async function startServer({ file, args = [], path, env, profile }) {
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const flags = profile === undefined ? [] : ["--cpu-prof", `--cpu-prof-dir=${profile}`];
  const child = spawn(process.execPath, [...flags, file, ...args], {
    env: { ...process.env, ...env, PORT: String(port), TIDEBASE_PORT: String(port) },
    stdio: ["ignore", "ignore", "pipe"],
  });
  const said = [];
  child.stderr.on("data", (chunk) => said.push(chunk));
  try {
    await answers(`${url}${path}`, child);
  } catch (cause) {
    child.kill();
    throw new Error(`${file} did not start:\n${Buffer.concat(said)}`, { cause });
  }
  return {
    url,
    async stop() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.kill();
      await once(child, "exit");
    },
  };
}

async function answers(url, child) {
  for (const deadline = Date.now() + START_MS; ; await delay(20)) {
    const answer = await request(url).catch(() => undefined);
    await answer?.body.dump();
    if (answer?.statusCode === 200) return;
    if (child.exitCode !== null) throw new Error(`It ended with ${child.exitCode}.`);
    if (Date.now() > deadline) throw new Error(`No 200 from ${url} in ${START_MS / 1000} s.`);
  }
}

async function freePort() {
  const probe = createServer().listen(0, "127.0.0.1");
  await once(probe, "listening");
  const { port } = probe.address();
  probe.close();
  await once(probe, "close");
  return port;
}
