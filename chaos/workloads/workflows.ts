import { FatalError, type Run, type Tidebase } from "@tidebase/sdk";
import type {
  AskInput,
  ChainInput,
  EndInput,
  FanInput,
  JobInput,
  StormInput,
  TellInput,
} from "./inputs.ts";
import { listed, metered } from "./ledgers.ts";
import { Bench, busy, type Workshop } from "./workshop.ts";

/** Workflows whose runs are in no queue: workers find them in the list and begin them by their ids. */
export const PLAIN = ["plain-chain"] as const;

/** Registers what the workers of a trial can do. */
export function register(tide: Tidebase, shop: Workshop): void {
  const workflow = <Input>(
    name: string,
    workload: string,
    code: (bench: Bench<Input>) => Promise<unknown>,
  ) => {
    // A result says who made it: nobody but the last holder may complete a run.
    tide.workflow(name, async (run: Run<Input>) => ({
      proc: shop.proc,
      made: await code(new Bench(shop, workload, run)),
    }));
  };
  workflow<ChainInput>("chain", "W1", chained);
  workflow<ChainInput>("plain-chain", "W1", chained);
  workflow<JobInput>("job", "W2", worked);
  workflow<AskInput>("ask", "W3", asked);
  workflow<undefined>("tick", "W4", (bench) => bench.step("tick"));
  workflow<StormInput>("storm", "W5", stormed);
  workflow<TellInput>("tell", "W6", told);
  workflow("list", "W7", listed);
  workflow<FanInput>("fan", "W8", fanned);
  workflow<number>("part", "W8", (bench) => bench.step("part", { before: () => busy(20) }));
  workflow("meter", "W9", metered);
  workflow<EndInput>("w10-end", "W10", ended);
  workflow<undefined>("w10-parent", "W10", abandoned);
  workflow<undefined>("w10-child", "W10", ({ run }) => run.waitFor("never"));
}

/** Steps with every kind of contract, the last two side by side. */
async function chained(bench: Bench<ChainInput>): Promise<string[]> {
  const { run, leaseMs } = bench;
  const { steps, long, flaky, manual, ms } = run.input;
  const lasts = (n: number) => (long.includes(n) ? leaseMs * 1.4 : ms);
  const contracts = [
    {},
    { sideEffects: ["posts"], idempotencyKey: `${run.runId}:posts` },
    manual ? { sideEffects: ["pays"] } : { sideEffects: ["read"] },
    { retry: { maxAttempts: flaky + 1, minMs: 50, maxMs: 200 }, input: { flaky } },
  ];
  const step = (n: number) =>
    bench.step(`step-${n}`, {
      ...contracts[n],
      after: async ({ attempt }) => {
        await busy(lasts(n));
        if (n === 3 && attempt <= flaky) throw new Error("unlucky");
      },
    });
  const nonces: string[] = [];
  for (let n = 0; n < steps - 2; n++) nonces.push(await step(n));
  return [...nonces, ...(await Promise.all([step(steps - 2), step(steps - 1)]))];
}

async function worked(bench: Bench<JobInput>): Promise<string[]> {
  const { fails, late, ms } = bench.run.input;
  const fail = ({ attempt }: { attempt: number }) => {
    if (attempt <= fails) throw new Error("unlucky");
  };
  const nonce = await bench.step("work", {
    key: "1",
    before: late ? () => {} : fail,
    after: async (context) => {
      await busy(ms);
      if (late) fail(context);
    },
  });
  return [nonce, await bench.step("work", { key: "2" })];
}

async function asked(bench: Bench<AskInput>): Promise<string> {
  const { run } = bench;
  const { expiresMs, awaitsSignal } = run.input;
  await bench.step("before");
  const question = {
    prompt: "May it go on?",
    data: { runId: run.runId },
    ...(expiresMs !== null && { expiresIn: expiresMs }),
  };
  await bench.watched({ f: "gates.open", key: run.runId }, async () => {
    const { gateId, status } = await run.gates.open("go", question);
    return { gateId, status };
  });
  const { status } = await run.gate("go", question);
  if (awaitsSignal) await run.waitFor("news", { timeout: "20s" });
  await bench.step("after");
  return status;
}

async function stormed(bench: Bench<StormInput>): Promise<void> {
  const { run } = bench;
  const { ms } = run.input;
  run.onCancel(() => busy(50));
  for (const name of ["one", "two", "three"])
    await bench.step(name, { sideEffects: ["posts"], replay: "auto", after: () => busy(ms) });
}

async function told(bench: Bench<TellInput>): Promise<string> {
  const { run } = bench;
  const before = await bench.step("tell");
  if (!run.input.asks) return before;
  return (await run.gate("seen", { prompt: "Has anybody seen it?", expiresIn: "1500ms" })).status;
}

async function fanned(bench: Bench<FanInput>): Promise<number> {
  const { run } = bench;
  const { children, inProcess, join } = run.input;
  const parts = Array.from({ length: children }, (_, n) => ({ workflow: "part", input: n }));
  const placed = inProcess ? {} : { queue: "work" };
  const results =
    join === "all"
      ? await run.fanout("parts", parts, placed)
      : await run.fanout("parts", parts, { ...placed, join });
  await bench.step("joined");
  return results.length;
}

async function ended(bench: Bench<EndInput>): Promise<void> {
  await bench.step("end");
  if (bench.run.input.fails) throw new FatalError("It was to fail.");
}

/** Its child outlives it and waits for ever: what is over may not be forgotten while that is not. */
async function abandoned({ run }: Bench): Promise<unknown> {
  return run.child("left", "w10-child", { queue: "work", detach: true });
}
