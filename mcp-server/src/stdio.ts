import { Writable } from "node:stream";
import { setTimeout as delay } from "node:timers/promises";
import { openServer, serveStdio } from "./handshake-v1.ts";
import { inputLines } from "./input-lines.ts";
import type { Offer, Serving } from "./offer-v1.ts";
import { lineOf, type Program } from "./program.ts";
import { readVersion } from "./version.ts";

/**
 * Serves one client on standard input and output until the input ends or a signal comes. The handshake is
 * answered before tools, core and Postgres's driver are even loaded; what comes after it waits for them.
 */
export async function serve(program: Program, settings: Serving): Promise<void> {
  const { write, log } = program;
  const server = openServer({ version: readVersion(), onError: (error) => log(lineOf(error)) });
  const output = new Writable({
    write: (chunk, _, done) => {
      write(chunk, (error) => done(error));
    },
  });
  let loading: Promise<Offer> | undefined;
  async function load(): Promise<void> {
    loading ??= import("./offer-v1.ts").then(({ openOffer }) =>
      openOffer(server, program, settings),
    );
    (await loading).begin();
  }
  const end = once(async () => {
    await server.close();
    await new Promise<void>((resolve) => output.end(resolve));
    await (await loading)?.close();
  });
  const whenIdle = async (): Promise<void> => {
    const since = performance.now();
    const offer = await loading;
    const patience = offer?.isOpening() ? START_MS : ANSWER_MS;
    await Promise.race([offer?.idle(), delay(patience)]);
    await end(Math.max(END_MS - (performance.now() - since), CLOSE_MS));
  };
  const input = process.stdin.pipe(
    inputLines((answer) => {
      log("A message was too long, and refused.");
      if (answer !== undefined) output.write(answer);
    }, load),
  );
  input.once("end", whenIdle);
  process.stdin.once("close", () => input.end());
  for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const)
    process.on(signal, () => end(END_MS));
  input.once("error", (error) => {
    log(lineOf(error)); // what is offered could not be loaded
    return end(END_MS);
  });
  for (const stream of [process.stdout, output]) stream.once("error", () => end(END_MS)); // nobody reads it
  await serveStdio(server, input, output);
}

/** The program is gone within this after the end of its input, in milliseconds: clients kill it soon after. */
const END_MS = 900;
/** Of that, what is kept for closing … */
const CLOSE_MS = 450;
/** … and what calls under way may take: one that waits for a run is not answered any more … */
const ANSWER_MS = END_MS - CLOSE_MS;
/** … but those that wait for the store itself are: whoever pipes two lines into us waits for the answer. */
const START_MS = 5000;

/** Ends the process after the work, done once; and without it when it takes longer than `withinMs`. */
function once(work: () => Promise<void>): (withinMs: number) => Promise<void> {
  let ending: Promise<void> | undefined;
  return (withinMs) => {
    ending ??= Promise.race([work(), delay(withinMs)]).finally(() => process.exit());
    return ending;
  };
}
