import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { newRunId } from "@tidebase/sdk";
import { expect, onTestFinished, test } from "vitest";
import { useServer } from "./support.ts";

const server = useServer();
const path = fileURLToPath(new URL("./holding-worker.ts", import.meta.url));

/** A worker that holds the run; `ended` gives its exit code, its signal and what it wrote. */
async function startWorker(runId: string, mode: string) {
  const flags = ["--import", "tsx", "--conditions=tidebase-source"];
  const args = [...flags, path, server.url, runId, mode];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
  onTestFinished(() => void child.kill("SIGKILL"));
  let wrote = "";
  child.stdout.on("data", (chunk) => {
    wrote += String(chunk);
  });
  const exit = once(child, "exit");
  await expect.poll(() => wrote, { timeout: 20_000 }).toContain("holding");
  const ended = async () => {
    const [code, signal] = await exit;
    return { code, signal, wrote };
  };
  return { child, ended };
}

async function released(runId: string) {
  const { run, steps } = await server.tidebase.runs.get(runId);
  expect([run.status, run.attempts]).toEqual(["pending", 0]);
  return steps;
}

for (const signal of ["SIGTERM", "SIGINT"] as const)
  test(`${signal} records what is finished, releases the run and ends the process as always`, async () => {
    const runId = newRunId();
    const { child, ended } = await startWorker(runId, "busy");
    const toldAt = performance.now();
    child.kill(signal);
    expect(await ended()).toMatchObject({ code: null, signal });
    expect(performance.now() - toldAt).toBeLessThan(2500);
    expect(await released(runId)).toMatchObject({ completed: 2 });
    const next = server.tidebase.run("held", { runId, onLeased: "fail" }, () => "resumed");
    expect(await next).toBe("resumed");
  });

test("a program that handles the signal itself keeps the last word", async () => {
  const runId = newRunId();
  const { child, ended } = await startWorker(runId, "own-handler");
  child.kill("SIGTERM");
  expect(await ended()).toEqual({ code: 7, signal: null, wrote: "holding\ncleaned up\n" });
  await released(runId);
});

test("a process with nothing left to do releases its run on the way out", async () => {
  const runId = newRunId();
  const { ended } = await startWorker(runId, "idle");
  expect(await ended()).toMatchObject({ signal: null });
  await released(runId);
});

test("no signal listener is left when no run is held", async () => {
  const before = process.listenerCount("SIGTERM");
  await server.tidebase.run("w", () => {
    expect(process.listenerCount("SIGTERM")).toBe(before + 1);
  });
  expect(process.listenerCount("SIGTERM")).toBe(before);
});

test("closing a client releases the runs it works on", async () => {
  const runId = newRunId();
  const client = server.client();
  const run = client.run("w", { runId }, ({ step, signal }) =>
    step("s", () => new Promise((_, reject) => signal.addEventListener("abort", reject))),
  );
  const failure = run.catch((error: unknown) => error);
  await expect.poll(async () => (await status(runId)) === "running").toBe(true);
  await client.close();
  expect(await failure).toMatchObject({ code: "run_released" });
  expect(await status(runId)).toBe("pending");
});

async function status(runId: string): Promise<string | undefined> {
  const found = await server.tidebase.runs.get(runId).catch(() => undefined);
  return found?.run.status;
}
