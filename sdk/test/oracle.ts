import { closeSync, fsyncSync, openSync, writeSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

/**
 * The world outside, as the steps of a worker touch it: every line that is posted is on disk before
 * it is answered, and told on standard output. Usage: oracle.ts FILE; the first line is the port.
 */
const file = openSync(process.argv[2] ?? "", "a");

const server = createServer((request, answer) => {
  let line = "";
  request.setEncoding("utf8");
  request.on("data", (text) => {
    line += text;
  });
  request.on("end", () => {
    writeSync(file, `${line}\n`);
    fsyncSync(file);
    process.stdout.write(`${line}\n`);
    answer.end();
  });
});
server.listen(0, "127.0.0.1", () => {
  process.stdout.write(`${(server.address() as AddressInfo).port}\n`);
});
process.once("SIGTERM", () => {
  server.closeAllConnections();
  server.close(() => closeSync(file));
});
