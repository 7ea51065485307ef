import type { Stage, StageContext, StageResult } from "../stage.ts";
import { forgedEvents, readBeyond } from "./event-lines.ts";
import { goodInput } from "./good-input.ts";
import { ECHO_MARK } from "./hostile.ts";
import { type InputWorld, openInputWorld } from "./input-world.ts";
import { strangeLines, strangePosts } from "./messages.ts";
import { attackOperations, attackTools, fewestOf, leftOut, watchRefusals } from "./phases.ts";
import { rawCases } from "./raw-cases.ts";
import { speakAll } from "./raw-sockets.ts";
import { keptElsewhere, roundTrip } from "./round-trip.ts";
import { confusedMethods, confusedPaths, unknownIds } from "./routes.ts";
import { sendFixed } from "./send-fixed.ts";
import { idleClients, lateBody, slowRequests } from "./slow-clients.ts";
import { unchanged } from "./untouched.ts";
import { type Vitals, watchVitals } from "./vitals.ts";

/** What the server may take under attack. */
const P99_MS = 250;
const PEAK_MB = 1024;

/** Of each operation and of each tool, each way: all of them when the round is full, or what there is time for. */
const CASES = 2000;
/** As long as a server waits for a whole request. */
const REQUEST_MS = 60_000;

/**
 * Hostile input for every operation and every tool, over real sockets and standard input: each is answered,
 * nothing refused changes a row, and the server stays quick and small (rows B1–B24).
 */
export const stage: Stage = {
  id: "input",
  title: "Hostile input for every operation and tool",
  async run(context) {
    const world = await openInputWorld(context.folder, context.seed);
    try {
      return await attacked(context, world);
    } finally {
      await world.close();
    }
  },
};

async function attacked(context: StageContext, world: InputWorld): Promise<StageResult> {
  const { seed, budgetMs, full, told } = context;
  const { ledger, target, server } = world;
  const ends = Date.now() + budgetMs;
  const known = await goodInput(target.execute, { name: "runs.get" }, target);
  const caller = { authorization: `Bearer ${world.key}`, runId: String(known["runId"]) };
  const vitals = watchVitals(server.url, server.pid);
  const slow = slowRequests(server.url, caller, ledger, full || budgetMs >= REQUEST_MS);
  slow.catch(() => {}); // awaited below
  // First, while hardly anything is in the store that could change by itself.
  await byHand(world, caller, known);
  told(`${ledger.count()} cases by hand`);
  const [began, left] = [Date.now(), ends - Date.now()];
  const share = (part: number) => (full ? Number.POSITIVE_INFINITY : began + left * part);
  const untouched = await watchRefusals(world, { cases: full ? 100 : 30, until: share(0.25) });
  told(`${untouched.refused} refused calls looked at one by one`);
  const operations = await attackOperations(world, { cases: CASES, until: share(0.55) });
  told(`${operations.tried} cases over HTTP`);
  const { tried, problem } = await roundTrip(target.client, target.execute, {
    ...{ seed, cases: full ? 1000 : 150, webhookUrl: target.webhookUrl },
  });
  for (let n = 0; n < tried; n++) ledger.tried("B6", n === 0 ? problem : undefined);
  const tools = await attackTools(world, { cases: CASES, until: share(0.95) });
  await slow;
  const health = await vitals();
  await judge(world, health);
  if (full) world.problems.push(...leftOut(ledger, CASES, [operations, tools]));
  return {
    tried: ledger.count() + operations.tried + untouched.refused, // those of tools are in the ledger
    promises: {},
    problems: [...world.problems, ...ledger.problems],
    facts: {
      ...ledger.facts(),
      "cases over HTTP": `${operations.tried} (${operations.admitted} admitted, ${operations.refused} refused)`,
      "cases of tools": `${tools.tried} (${tools.admitted} admitted, ${tools.refused} refused)`,
      "fewest cases for one operation": fewestOf(operations),
      "fewest cases for one tool": fewestOf(tools),
      "refused calls that changed nothing": untouched.refused,
      "changes by something else meanwhile": untouched.unrepeated,
      "health p50, p99, max in ms": `${health.p50Ms}, ${health.p99Ms}, ${health.maxMs} of ${health.probes}`,
      "memory first, peak, last in MB": `${health.firstMb}, ${health.peakMb}, ${health.lastMb}`,
      "lines of log": server.log.lines().length,
      seed,
    },
  };
}

/** What was written by hand, over HTTP, raw sockets and MCP. */
async function byHand(
  world: InputWorld,
  caller: { readonly authorization: string; readonly runId: string },
  known: Awaited<ReturnType<typeof goodInput>>,
): Promise<void> {
  const { ledger, target, server } = world;
  const { client, execute, webhookUrl } = target;
  await sendFixed(client, known, webhookUrl, world);
  await unknownIds(client, execute, webhookUrl, world);
  await unchanged(world, "B17", "other methods and paths", async () => {
    await confusedMethods(client, ledger);
    await confusedPaths(client, caller.runId, ledger);
  });
  const raw = rawCases(caller);
  const writing = raw.filter(({ writes }) => writes);
  await speakAll(server.url, writing, ledger);
  await unchanged(world, "B3", "bytes on sockets", async () => {
    await speakAll(
      server.url,
      raw.filter((one) => !writing.includes(one)),
      ledger,
    );
    await lateBody(server.url, caller, ledger);
  });
  await unchanged(world, "B23", "messages that are none", async () => {
    await strangePosts(client, world.stranger, world.overHttp.sessionHeaders, ledger);
    await strangeLines(world.overStdio, ledger);
  });
  await idleClients(server.url, caller, client, ledger);
  await readBeyond(server.url, caller, ledger);
  await forgedEvents(client, execute, webhookUrl, ledger);
  await keptElsewhere(target, world.stranger, ledger);
  ledger.note("B16", "not applicable: ids of another namespace, there are none");
  ledger.note("B18", "one parser, so nobody reads it otherwise: the last member counts");
  ledger.note(
    "B19",
    "an unread stream of more than 1 MiB is closed: http-server/test/stream.test.ts",
  );
}

/** Whether the server is as it was: quick, small, silent about what it was sent, and of use. */
async function judge({ problems, server, target, overStdio }: InputWorld, health: Vitals) {
  const { p99Ms, failures, peakMb } = health;
  if (p99Ms >= P99_MS) problems.push(`/health took ${p99Ms} ms at the 99th percentile.`);
  if (failures > 0) problems.push(`/health was not answered ${failures} times.`);
  if (peakMb >= PEAK_MB) problems.push(`The server took ${peakMb} MB.`);
  if (server.child.exitCode !== null || server.child.signalCode !== null)
    problems.push(`The server ended: ${server.log.lines().slice(-20).join("\n").slice(0, 2000)}`);
  problems.push(...server.log.problems([ECHO_MARK]), ...overStdio.log.problems([ECHO_MARK]));
  const { status, text } = await target.client.post("/v1/runs", '{"workflow":"afterwards"}');
  if (status !== 200) problems.push(`Afterwards a good request is answered ${status} ${text}`);
}
