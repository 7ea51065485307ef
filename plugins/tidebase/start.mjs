// Starts the server from npm. On Windows npx is a script, which only a shell starts.
import { spawn } from "node:child_process";

const server = spawn("npx", ["-y", "@tidebase/mcp", ...process.argv.slice(2)], {
  stdio: "inherit",
  shell: process.platform === "win32",
});
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => server.kill(signal));
server.once("error", (error) => {
  process.stderr.write(`npx cannot be started: ${error.message}. Install Node 20 or newer.\n`);
  process.exitCode = 1;
});
server.once("exit", (code) => {
  process.exitCode = code ?? 1;
});
