import { isTidebaseError, newRunId } from "@tidebase/sdk";
import { expect, test } from "vitest";
import { sleep } from "../src/pause.ts";
import { decide, openGate, statusOf } from "./deciding.ts";
import { random, seed } from "./random.ts";
import { useServer } from "./support.ts";

const server = useServer();
const ROUNDS = 120;
const AT_ONCE = 6;

const next = random(seed);

test(`no run waits for what has happened, however decision, signal and suspension meet (${ROUNDS} rounds, seed ${seed})`, {
  timeout: 120_000,
}, async () => {
  console.log(`wake-ups: seed ${seed}`);
  const ends = { suspended: 0, through: 0 };
  server.meddle = async (path, answer) => {
    if (path.endsWith("/suspend")) await sleep(next() * 8);
    return answer();
  };
  for (let round = 0; round < ROUNDS; round += AT_ONCE)
    await Promise.all(Array.from({ length: AT_ONCE }, (_, n) => race(round + n, ends)));
  expect(ends.suspended).toBeGreaterThan(0);
  expect(ends.through).toBeGreaterThan(0);
});

/** One run that waits for one or both of gate and signal, and whoever decides and sends. */
async function race(round: number, ends: { suspended: number; through: number }): Promise<void> {
  const runId = newRunId();
  const kind = (["gate", "signal", "both"] as const)[round % 3] ?? "both";
  const [before, between] = [next() * 12, next() * 6];
  const work = () =>
    server.tidebase.run("w", { runId }, async ({ gate, step, waitFor }) => {
      await step("first", () => round);
      const asked = kind === "signal" ? true : gate("g", { prompt: "?" });
      const told = kind === "gate" ? true : waitFor("s");
      await Promise.all([asked, told]);
      return kind;
    });
  const attempt = work().catch((error: unknown) => error);
  if (kind !== "signal") {
    const gateId = await openGate(server, runId, "g");
    await sleep(before);
    await decide(server, gateId);
  }
  await sleep(between);
  if (kind !== "gate") await sendOnceThere(runId);

  const ended = await attempt;
  const which = `seed ${seed}, round ${round}, ${kind}`;
  if (ended === kind) ends.through += 1;
  else if (isTidebaseError(ended, "run_suspended")) ends.suspended += 1;
  else throw new Error(which, { cause: ended });
  expect(["completed", "pending"], which).toContain(await statusOf(server, runId));
  expect(await work(), which).toBe(kind);
}

async function sendOnceThere(runId: string): Promise<void> {
  const sent = () =>
    server.tidebase.signal(runId, "s", null, { key: "once" }).then(
      () => true,
      (error: unknown) => {
        if (isTidebaseError(error, "run_not_found")) return false;
        throw error;
      },
    );
  await expect.poll(sent, { interval: 2 }).toBe(true);
}
