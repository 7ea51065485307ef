import { isTidebaseError, newRunId } from "@tidebase/sdk";
import { expect, test } from "vitest";
import { sleep } from "../src/pause.ts";
import { decide, statusOf } from "./deciding.ts";
import { random, seed } from "./random.ts";
import { useServer } from "./support.ts";

const server = useServer();
const ROUNDS = 120;
const AT_ONCE = 6;
const KINDS = ["gate", "signal", "both"] as const;

interface Round {
  readonly kind: (typeof KINDS)[number];
  /** Pauses before the gate is decided, the signal sent and the suspension let through. */
  readonly pauses: { readonly decide: number; readonly send: number; readonly suspend: number };
  /** The decision and the signal under way. */
  readonly outside: Map<"decision" | "signal", Promise<unknown>>;
}

const next = random(seed);
const rounds = new Map<string, Round>();

test(`no run waits for what has happened, however decision, signal and suspension meet (${ROUNDS} rounds, seed ${seed})`, {
  timeout: 120_000,
}, async () => {
  console.log(`wake-ups: seed ${seed}`);
  server.meddle = async (path, answer) => {
    const [, runId = "", verb] = /\/runs\/(run_[^/]+)\/(\w+)$/.exec(path) ?? [];
    const round = rounds.get(runId);
    if (verb === "suspend") await sleep(round?.pauses.suspend ?? 0);
    const answered = await answer();
    if (round !== undefined && answered.ok) provoke(round, runId, verb, answered.clone());
    return answered;
  };
  const ends = { suspended: 0, through: 0 };
  for (let round = 0; round < ROUNDS; round += AT_ONCE)
    await Promise.all(Array.from({ length: AT_ONCE }, (_, n) => race(round + n, ends)));
  console.log(`wake-ups: ${ends.suspended} suspended, ${ends.through} went through`);
  expect(ends.suspended).toBeGreaterThan(0);
  expect(ends.through).toBeGreaterThan(0);
});

/** What the run waits for happens soon after it has asked for it, once. */
function provoke(round: Round, runId: string, verb: string | undefined, answered: Response): void {
  const { outside, pauses } = round;
  if (verb === "gates" && !outside.has("decision"))
    outside.set(
      "decision",
      sleep(pauses.decide).then(async () => {
        const { gate } = (await answered.json()) as { gate: { gateId: string } };
        await decide(server, gate.gateId);
      }),
    );
  if (verb === "begin" && round.kind !== "gate" && !outside.has("signal"))
    outside.set(
      "signal",
      sleep(pauses.send).then(() => server.tidebase.signal(runId, "s", null, { key: "once" })),
    );
}

/** One run that waits for a gate, a signal or both. */
async function race(n: number, ends: { suspended: number; through: number }): Promise<void> {
  const runId = newRunId();
  const kind = KINDS[n % 3] ?? "both";
  const pauses = { decide: next() * 120, send: next() * 160, suspend: next() * 30 };
  const round: Round = { kind, pauses, outside: new Map() };
  rounds.set(runId, round);
  const work = () =>
    server.tidebase.run("w", { runId }, async ({ gate, step, waitFor }) => {
      await step("first", () => n);
      const asked = kind === "signal" || gate("g", { prompt: "?" });
      const told = kind === "gate" || waitFor("s");
      await Promise.all([asked, told]);
      return kind;
    });
  const ended = await work().catch((error: unknown) => error);
  await Promise.all(round.outside.values());

  const which = `seed ${seed}, round ${n}, ${kind}`;
  if (ended === kind) ends.through += 1;
  else if (isTidebaseError(ended, "run_suspended")) ends.suspended += 1;
  else throw new Error(which, { cause: ended });
  expect(["completed", "pending"], which).toContain(await statusOf(server, runId));
  expect(await work(), which).toBe(kind);
}
