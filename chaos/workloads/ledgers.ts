import { isTidebaseError } from "@tidebase/sdk";
import type { ListInput, MeterInput } from "./inputs.ts";
import { type Bench, busy } from "./workshop.ts";

/**
 * Appends numbers to the run's state, by several branches that read, then write on the condition that nothing
 * was written since. Each number is a write of its own key, so that a replay appends none twice.
 */
export async function listed(bench: Bench<ListInput>): Promise<number> {
  const { numbers, branches, ms } = bench.run.input;
  await bench.step("open");
  const left = [...numbers];
  const branch = async () => {
    for (let number = left.shift(); number !== undefined; number = left.shift()) {
      await append(bench, number);
      await busy(ms);
    }
  };
  await Promise.all(Array.from({ length: branches }, branch));
  await bench.step("close");
  return numbers.length;
}

async function append(bench: Bench<ListInput>, number: number): Promise<void> {
  const { state, runId } = bench.run;
  for (;;) {
    const { found, value, latest } = await state.read();
    const list = found ? (value as { list: number[] }).list : [];
    const called = { f: "state.append", key: runId, value: number };
    try {
      await bench.watched(called, async () => {
        const options = { expectVersion: latest, key: `append:${number}` };
        await state.set({ list: [...list, number] }, options);
        return number;
      });
      return;
    } catch (error) {
      if (!isTidebaseError(error, "version_conflict")) throw error;
    }
  }
}

/** Records each amount under its key, every third one twice at the same time, and a replay records all again. */
export async function metered(bench: Bench<MeterInput>): Promise<void> {
  const { run } = bench;
  for (const [n, amount] of run.input.amounts.entries()) {
    await bench.step(`spend-${n}`);
    const key = `amount-${n}`;
    const entry = { kind: "llm", unit: "call", quantity: amount, costUsd: amount, key };
    const record = () =>
      bench.watched({ f: "usage.record", key: run.runId, value: { key, amount } }, async () => {
        const { seq } = (await run.usage.record(entry)).record;
        return { key, amount, seq };
      });
    await Promise.all(n % 3 === 0 ? [record(), record()] : [record()]);
  }
}
