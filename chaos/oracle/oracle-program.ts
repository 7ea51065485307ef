import { fsyncSync, openSync, writeSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import type { Effect } from "../history/evidence.ts";
import { now } from "../history/evidence.ts";

/**
 * The world outside, as the functions of steps touch it. `POST /<trial>/effect` appends a line to `<trial>.jsonl` in
 * the folder and answers its number when it is on disk. Usage: oracle-program.ts FOLDER; it prints its address.
 */
const folder = process.argv[2] ?? "";
const files = new Map<string, { readonly descriptor: number; seq: number }>();

/** Effects that arrive while the disk is busy with others share its next turn. */
let waiting: (() => void)[] = [];
const dirty = new Set<number>();

function append(trial: string, happened: Omit<Effect, "seq" | "at">): number {
  const file = files.get(trial) ?? {
    descriptor: openSync(join(folder, `${trial}.jsonl`), "a"),
    seq: 0,
  };
  files.set(trial, file);
  file.seq += 1;
  const { run, step, attempt, proc, nonce } = happened;
  const line: Effect = { seq: file.seq, at: now(), run, step, attempt, proc, nonce };
  writeSync(file.descriptor, `${JSON.stringify(line)}\n`);
  dirty.add(file.descriptor);
  return file.seq;
}

function onDisk(answer: () => void): void {
  waiting.push(answer);
  if (waiting.length > 1) return;
  setImmediate(() => {
    const answers = waiting;
    waiting = [];
    for (const descriptor of dirty) fsyncSync(descriptor);
    dirty.clear();
    for (const one of answers) one();
  });
}

const server = createServer((request, response) => {
  let text = "";
  request.setEncoding("utf8").on("data", (part: string) => {
    text += part;
  });
  request.once("end", () => {
    const [, trial = "", what] = (request.url ?? "").split("/");
    if (request.method !== "POST" || what !== "effect" || !/^[\w-]+$/.test(trial)) {
      response.writeHead(404, { "content-type": "application/json" }).end("{}");
      return;
    }
    const seq = append(trial, JSON.parse(text) as Omit<Effect, "seq" | "at">);
    onDisk(() =>
      response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify({ seq })),
    );
  });
});
server.keepAliveTimeout = 60_000;
server.listen(0, "127.0.0.1", () => {
  process.stdout.write(`http://127.0.0.1:${(server.address() as AddressInfo).port}\n`);
});
process.once("SIGTERM", () => process.exit(0));
