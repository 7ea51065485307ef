import { type ChildProcess, spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { afterEach, expect, test } from "vitest";
import { useDatabase } from "../../core/test/support/database.ts";
import { openGate } from "../../http-server/test/gate-support.ts";
import { untilPrinted } from "../support/process.ts";

const db = useDatabase();
const MAIN = fileURLToPath(new URL("../../http-server/src/main.ts", import.meta.url));
const COMMAND = [process.execPath, "--import", "tsx", "--conditions=tidebase-source", MAIN];
const children = new Set<ChildProcess>();

afterEach(async () => {
  for (const child of children) {
    if (child.exitCode === null && child.signalCode === null) {
      const gone = new Promise((resolve) => child.once("close", resolve));
      child.kill("SIGTERM");
      await gone;
    }
  }
  children.clear();
});

interface Program {
  readonly child: ChildProcess;
  readonly printed: () => string;
}

/** Runs the server with all its output on one pipe, or on a terminal of its own. */
function run(on: "pipe" | "terminal", args: readonly string[] = []): Program {
  const words = [...COMMAND, "--port", "0", "--log-level", "trace", ...args];
  const quoted = words.map((word) => `'${word}'`).join(" ");
  const [file = "", ...rest] =
    on === "pipe" ? words : ["script", "-qfec", `exec ${quoted}`, "/dev/null"];
  const child = spawn(file, rest, {
    env: { ...process.env, TIDEBASE_DATABASE_URL: db.url },
    stdio: ["pipe", "pipe", "pipe"],
  });
  children.add(child);
  let text = "";
  child.stdout.on("data", (chunk) => (text += String(chunk)));
  child.stderr.on("data", (chunk) => (text += String(chunk)));
  return { child, printed: () => text };
}

const SECRETS = /approve {2}|reject {3}|#link=|(?<![\w-])[0-9A-Z]{4}-[0-9A-Z]{4}(?![\w-])/;

test("on a terminal the server shows codes and the link of a new gate", async () => {
  const { child, printed } = run("terminal");
  const [url] = await untilPrinted(child, /http:\/\/127\.0\.0\.1:\d+/);
  const { gateId } = await openGate(db, { prompt: "Send it to everybody?" });
  await expect.poll(printed, { timeout: 15_000 }).toContain(`${url}/gates/${gateId}#link=`);
  expect(printed()).toMatch(/approve {2}[0-9A-Z]{4}-[0-9A-Z]{4}\r?\n {2}reject {3}[0-9A-Z]{4}-/);
});

test("to a pipe, or told not to, it shows neither, and its log never does", async () => {
  const [piped, quiet, loud] = [run("pipe"), run("terminal", ["--no-gate-codes"]), run("terminal")];
  await Promise.all(
    [piped, quiet, loud].map(({ child }) => untilPrinted(child, /Tidebase listens on/)),
  );
  const { path } = await openGate(db, { prompt: "Send it to everybody?" });
  await expect.poll(loud.printed, { timeout: 15_000 }).toContain(`${path}#link=`);
  for (const { printed } of [piped, quiet]) {
    expect(printed()).toContain("Tidebase listens on");
    expect(printed()).not.toMatch(SECRETS);
  }
  const logged = loud
    .printed()
    .split("\n")
    .filter((line) => line.startsWith("{"));
  expect(logged.join("\n")).not.toMatch(SECRETS);
});
